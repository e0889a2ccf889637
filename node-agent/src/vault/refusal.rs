//! What Vault's "no" means to a workload and to the renewer.

use std::{sync::Arc, time::Duration};

use signet_backends::vault::{AuthMethod, VaultClient, VaultError};
use signet_client::{AnswerFault, CaError, Outage, Reachability, Refusal, Token};
use signet_identity::BundleError;
use tonic::Code;

/// At what Vault failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The workload's token was shown.
    Login,
    /// A signature was asked for.
    Signature,
}

/// A token that the CA would accept too is shown to no Vault: who holds it could replay it there.
pub(super) fn refuse_if_for(token: &Token, ca_audience: &str) -> Result<(), CaError> {
    if !token.claims().is_ok_and(|claims| claims.audiences.iter().any(|one| one == ca_audience)) {
        return Ok(());
    }
    let message = format!(
        "the token is for `{ca_audience}` too, the CA's audience; one for Vault must be for Vault alone"
    );
    Err(CaError::TokenRefused(refusal(Code::Unauthenticated, message)))
}

pub(super) fn names_nobody() -> CaError {
    CaError::TokenRefused(refusal(Code::Unauthenticated, "the token names no service account".to_owned()))
}

pub(super) fn useless_roots(fault: BundleError) -> CaError {
    CaError::MalformedAnswer(AnswerFault::Bundle(fault))
}

/// Nobody has said yet who signs.
pub(super) fn away(client: &VaultClient) -> CaError {
    let address = address(client);
    CaError::Unavailable(Outage::Disconnected { address, source: client.away().map(|cause| cause as Arc<_>) })
}

/// What `error` means to whoever asked.
pub(super) fn of(error: VaultError, stage: Stage, client: &VaultClient) -> CaError {
    let reviews = matches!(client.config().auth.method, AuthMethod::Kubernetes { .. });
    let cause = cause(&error);
    let said = |code| refusal(code, error.to_string());
    match (stage, cause) {
        // A review that fails for whatever reason is a 403, an API server that is away among them.
        (Stage::Login, VaultError::Denied { .. }) if reviews => {
            CaError::Unavailable(Outage::Answered(said(Code::Unavailable)))
        }
        (Stage::Login, VaultError::Refused { .. } | VaultError::Denied { .. }) => {
            CaError::TokenRefused(said(Code::Unauthenticated))
        }
        (Stage::Signature, VaultError::Refused { .. } | VaultError::Denied { .. }) => {
            CaError::Denied(said(Code::PermissionDenied))
        }
        (
            _,
            VaultError::RateLimited { retry_after }
            | VaultError::Failing { retry_after: retry_after @ Some(_), .. },
        ) => {
            let retry_after = retry_after.map(|wait| wait.min(LONGEST_RETRY_AFTER));
            CaError::Overloaded(Refusal { retry_after, ..said(Code::ResourceExhausted) })
        }
        (_, VaultError::Overloaded { .. } | VaultError::NoTime) => {
            CaError::Overloaded(said(Code::ResourceExhausted))
        }
        (_, VaultError::Failing { .. } | VaultError::NoSuchPath { .. } | VaultError::Nonsense { .. }) => {
            CaError::Unavailable(Outage::Answered(said(Code::Unavailable)))
        }
        _ => {
            let address = address(client);
            CaError::Unavailable(Outage::Disconnected { address, source: Some(Arc::new(error)) })
        }
    }
}

/// Whether Vault can be had, as `error` tells.
pub(super) fn reachability(error: &VaultError) -> Reachability {
    match cause(error) {
        VaultError::Refused { .. }
        | VaultError::Denied { .. }
        | VaultError::RateLimited { .. }
        | VaultError::Overloaded { .. }
        | VaultError::NoTime => Reachability::Reachable,
        VaultError::Unreachable { .. } | VaultError::NotTrusted { .. } => Reachability::Disconnected,
        _ => Reachability::Failing,
    }
}

/// What is behind a failure that was remembered.
fn cause(error: &VaultError) -> &VaultError {
    match error {
        VaultError::Away(inner) | VaultError::Login(inner) => cause(inner),
        error => error,
    }
}

fn address(client: &VaultClient) -> String {
    client.config().addresses.first().map(ToString::to_string).unwrap_or_default()
}

fn refusal(code: Code, message: String) -> Refusal {
    Refusal { code, message, request_id: None, retry_after: None }
}

const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);
