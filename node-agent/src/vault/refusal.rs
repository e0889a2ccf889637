//! What Vault's "no" means to a workload and to the renewer. Pure.

use std::{sync::Arc, time::Duration};

use signet_backends::vault::{VaultConfig, VaultError};
use signet_client::{AnswerFault, CaError, CaEvent, Outage, Refusal};
use signet_identity::{BundleError, Csr, SpiffeId, SpiffeIdError};
use signet_runtime::telemetry::chain;
use tonic::Code;

use super::issuers::Issuers;

/// At what Vault failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The workload's token was shown.
    Login,
    /// A signature was asked for.
    Signature,
}

/// Says what a failure means, as far as the configuration has a part in it.
#[derive(Debug)]
pub(super) struct Refuser {
    address: String,
    deadline: Duration,
}

impl Refuser {
    pub(super) fn of(config: &VaultConfig, deadline: Duration) -> Self {
        let address = config.addresses.first().map(ToString::to_string).unwrap_or_default();
        Self { address, deadline }
    }

    /// What `error` means to whoever asked.
    pub(super) fn refuse(&self, error: VaultError, stage: Stage) -> CaError {
        let said = |code| refusal(code, chain(&error).to_string());
        match (cause(&error), stage) {
            (VaultError::Refused { .. } | VaultError::Denied { .. }, Stage::Login) => {
                CaError::TokenRefused(said(Code::Unauthenticated))
            }
            (VaultError::Refused { .. } | VaultError::Denied { .. }, Stage::Signature) => {
                CaError::Denied(said(Code::PermissionDenied))
            }
            (VaultError::RateLimited { retry_after }, _) => {
                let retry_after = retry_after.map(|wait| wait.min(LONGEST_RETRY_AFTER));
                CaError::Overloaded(Refusal { retry_after, ..said(Code::ResourceExhausted) })
            }
            (VaultError::Overloaded { .. }, _) => CaError::Overloaded(said(Code::ResourceExhausted)),
            // The API server may be away, which is no fault of the token's.
            (
                VaultError::Unconfirmed { .. } | VaultError::Failing { .. } | VaultError::NoSuchPath { .. },
                _,
            ) => answered(said(Code::Unavailable)),
            // No word of a Vault.
            (VaultError::Nonsense { .. }, _) => answered(said(Code::Unknown)),
            (VaultError::TimedOut { .. } | VaultError::NoTime, _) => CaError::Unavailable(Outage::NoAnswer {
                address: self.address.clone(),
                deadline: self.deadline,
            }),
            (VaultError::Broken { .. }, _) => CaError::Unavailable(Outage::Broken {
                address: self.address.clone(),
                source: Arc::new(error),
            }),
            (VaultError::Sealed { .. } | VaultError::Standby { .. } | VaultError::Redirected { .. }, _) => {
                CaError::Unavailable(Outage::NotServing {
                    address: self.address.clone(),
                    source: Arc::new(error),
                })
            }
            (
                VaultError::Unreachable { .. }
                | VaultError::NotTrusted { .. }
                | VaultError::File(_)
                | VaultError::Away(_)
                | VaultError::Login(_),
                _,
            ) => self.disconnected(Some(Arc::new(error))),
        }
    }

    /// Vault has not said yet who signs.
    pub(super) fn nobody_signs(&self, cause: Option<Arc<VaultError>>) -> CaError {
        self.disconnected(cause)
    }

    fn disconnected(&self, cause: Option<Arc<VaultError>>) -> CaError {
        let source = cause.map(|cause| cause as Arc<dyn std::error::Error + Send + Sync>);
        CaError::Unavailable(Outage::Disconnected { address: self.address.clone(), source })
    }
}

/// What the outcome of a call says about Vault; `None`: nothing.
pub(super) fn event(failed: Option<&CaError>) -> Option<CaEvent> {
    match failed {
        None => Some(CaEvent::Answered),
        Some(CaError::Overloaded(_)) => None,
        Some(CaError::Unavailable(Outage::Disconnected { .. } | Outage::NotServing { .. })) => {
            Some(CaEvent::ConnectFailed)
        }
        Some(error) if error.is_answer() => Some(CaEvent::Answered),
        Some(_) => Some(CaEvent::Unserved),
    }
}

/// The same of a look at who signs that failed. A Vault that answers and does not say so signs nothing, as long as it
/// never said so.
pub(super) fn event_of_look(failed: &CaError, known: Option<&Issuers>) -> Option<CaEvent> {
    match event(Some(failed)) {
        Some(CaEvent::Answered) => known.is_none().then_some(CaEvent::ConnectFailed),
        event => event,
    }
}

/// The one URI SAN of a CSR.
pub(super) fn identity_asked_for(csr_pem: &str) -> Result<SpiffeId, CaError> {
    let refused = |message| CaError::Denied(refusal(Code::InvalidArgument, message));
    let csr = Csr::from_pem(csr_pem).map_err(|fault| refused(chain(&fault).to_string()))?;
    match csr.requested_uris() {
        [uri] => uri.parse().map_err(|fault: SpiffeIdError| refused(chain(&fault).to_string())),
        _ => Err(refused("the CSR must have exactly one URI SAN".to_owned())),
    }
}

/// The leaf would be good, and not everywhere yet.
pub(super) fn too_early(wait: Duration) -> CaError {
    let message = format!(
        "Vault signs by another issuer by now, and nothing under its root is served for {} s, until proxies of other \
         nodes have that root; with `vault.issuer` set, the last one would sign meanwhile",
        wait.as_secs() + 1
    );
    answered(Refusal { retry_after: Some(wait), ..refusal(Code::Unavailable, message) })
}

pub(super) fn useless_roots(fault: BundleError) -> CaError {
    CaError::MalformedAnswer(AnswerFault::Bundle(fault))
}

/// What is behind a failure that was remembered.
fn cause(error: &VaultError) -> &VaultError {
    match error {
        VaultError::Away(inner) | VaultError::Login(inner) => cause(inner),
        error => error,
    }
}

fn answered(refusal: Refusal) -> CaError {
    CaError::Unavailable(Outage::Answered(refusal))
}

fn refusal(code: Code, message: String) -> Refusal {
    Refusal { code, message, request_id: None, retry_after: None }
}

const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;
