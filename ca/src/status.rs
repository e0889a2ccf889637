//! The one map from what went wrong to what a caller is told.
//!
//! A caller learns the class, what it can do about it, and the name under which the operator finds the rest.
//! Why a token or a CSR was refused stays here: it would help only who is trying things out.

use std::time::{Duration, SystemTime};

use humantime::format_rfc3339_seconds;
use signet_backends::{IssuerError, vault::VaultError};
use signet_proto::metadata::REQUEST_ID;
use signet_runtime::RequestId;
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    audit::AuditUnavailable,
    authn::{AuthnError, CredentialsError},
    authority::IssueError,
    issuance::Refused,
};

/// Why a request was refused: a closed set, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// More requests than places.
    Overloaded,
    /// No bearer token, or one over the limit.
    NoCredentials,
    /// Not a token at all.
    TokenUnreadable,
    /// Of an issuer that is not configured.
    UnknownIssuer,
    /// A token that does not verify.
    TokenRefused,
    /// The issuer's keys cannot be had.
    KeysUnavailable,
    /// Malformed, badly signed, or with a key that is not allowed.
    Csr,
    /// Not the caller's identity.
    Denied,
    /// The audit log cannot be written.
    AuditUnavailable,
    /// The authority cannot sign now.
    SignerUnavailable,
    /// Another authority is to sign, under a root that proxies do not have yet.
    RootTravels,
    /// A fault of ours.
    Internal,
}

impl Reason {
    /// All of them, in the order of their declaration.
    pub(crate) const ALL: [Self; 12] = [
        Self::Overloaded,
        Self::NoCredentials,
        Self::TokenUnreadable,
        Self::UnknownIssuer,
        Self::TokenRefused,
        Self::KeysUnavailable,
        Self::Csr,
        Self::Denied,
        Self::AuditUnavailable,
        Self::SignerUnavailable,
        Self::RootTravels,
        Self::Internal,
    ];

    /// The reason of a refusal.
    pub(crate) fn of(refused: &Refused) -> Self {
        match refused {
            Refused::Overloaded(_) => Self::Overloaded,
            Refused::Authentication(error) => match error {
                AuthnError::Credentials(CredentialsError::NoToken | CredentialsError::TokenTooLong(_)) => {
                    Self::NoCredentials
                }
                AuthnError::Unreadable(_) => Self::TokenUnreadable,
                AuthnError::UnknownIssuer { .. } => Self::UnknownIssuer,
                AuthnError::Refused { .. } => Self::TokenRefused,
                AuthnError::Unavailable { .. } => Self::KeysUnavailable,
            },
            Refused::Csr(_) => Self::Csr,
            Refused::Denied(_) => Self::Denied,
            Refused::Audit(error) | Refused::Authority(IssueError::Audit(error)) => match error {
                AuditUnavailable::Overloaded { .. } => Self::Overloaded,
                AuditUnavailable::Write { .. } | AuditUnavailable::Closed => Self::AuditUnavailable,
                AuditUnavailable::NotEncoded(_) => Self::Internal,
            },
            Refused::Authority(IssueError::Issuer(error)) => match error {
                IssuerError::AuthorityNotValid { .. } | IssuerError::Unavailable(_) => {
                    Self::SignerUnavailable
                }
                IssuerError::Vault(VaultError::Overloaded { .. }) => Self::Overloaded,
                IssuerError::Vault(error) if error.is_temporary() => Self::SignerUnavailable,
                IssuerError::Vault(_) | IssuerError::Signature(_) | IssuerError::Template(_) => {
                    Self::Internal
                }
            },
            Refused::Authority(IssueError::NobodySigns { until: Some(_) } | IssueError::AnotherIssuer(_)) => {
                Self::RootTravels
            }
            Refused::Authority(IssueError::Interrupted | IssueError::NobodySigns { until: None }) => {
                Self::SignerUnavailable
            }
            Refused::Authority(
                IssueError::NotVerified(_)
                | IssueError::TooLong { .. }
                | IssueError::NoServingIssuer
                | IssueError::Panicked,
            ) => Self::Internal,
        }
    }

    /// The label's value.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::NoCredentials => "no_credentials",
            Self::TokenUnreadable => "token_unreadable",
            Self::UnknownIssuer => "unknown_issuer",
            Self::TokenRefused => "token_refused",
            Self::KeysUnavailable => "keys_unavailable",
            Self::Csr => "csr",
            Self::Denied => "denied",
            Self::AuditUnavailable => "audit_unavailable",
            Self::SignerUnavailable => "signer_unavailable",
            Self::RootTravels => "root_travels",
            Self::Internal => "internal",
        }
    }

    /// What the caller is told.
    fn class(self) -> (Code, &'static str) {
        match self {
            Self::Overloaded => (Code::ResourceExhausted, "the CA is busy; come back after the retry delay"),
            Self::NoCredentials | Self::TokenUnreadable | Self::UnknownIssuer | Self::TokenRefused => (
                Code::Unauthenticated,
                "the credentials are not accepted; send a current service-account token with the CA's audience \
                 as `authorization: Bearer <token>`",
            ),
            Self::Csr => (
                Code::InvalidArgument,
                "the CSR is not accepted; send one PEM block, signed by its own key: ECDSA P-256 or P-384, \
                 Ed25519, or RSA of 2048 to 4096 bits",
            ),
            Self::Denied => (
                Code::PermissionDenied,
                "the CSR must ask for exactly the SPIFFE ID of the caller, as its only name",
            ),
            Self::KeysUnavailable | Self::AuditUnavailable | Self::SignerUnavailable => {
                (Code::Unavailable, "the CA cannot issue now; come back after the retry delay")
            }
            Self::RootTravels => (
                Code::Unavailable,
                "the CA issues nothing until proxies have the root that it signs under next; come back after the \
                 retry delay",
            ),
            Self::Internal => (Code::Internal, "the CA failed; its operator finds why under the request id"),
        }
    }
}

/// When requests that were refused so will be granted, if that is known.
pub(crate) fn until(refused: &Refused) -> Option<SystemTime> {
    match refused {
        Refused::Authority(IssueError::NobodySigns { until }) => *until,
        _ => None,
    }
}

/// The answer to a refused request, and `until` when all are.
pub(crate) fn status(reason: Reason, until: Option<SystemTime>, request_id: &RequestId) -> Status {
    let (code, remedy) = reason.class();
    let message = match until.map(format_rfc3339_seconds) {
        Some(until) => request_id.named(&format!("{remedy}; that will be at {until}")),
        None => request_id.named(remedy),
    };
    let mut metadata = MetadataMap::new();
    request_id.add_to(&mut metadata, REQUEST_ID);
    match code {
        Code::ResourceExhausted | Code::Unavailable => {
            let details = ErrorDetails::with_retry_info(Some(retry_after(fastrand::f64())));
            Status::with_error_details_and_metadata(code, message, details, metadata)
        }
        _ => Status::with_metadata(code, message, metadata),
    }
}

/// One to three seconds, `jitter` being in [0, 1): those who are refused together must not return together.
fn retry_after(jitter: f64) -> Duration {
    Duration::from_secs(1) + Duration::from_secs(2).mul_f64(jitter)
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::*;

    #[test]
    fn each_reason_is_counted_under_its_own_label() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{reason:?}");
            assert!(Reason::ALL.iter().skip(place + 1).all(|other| other.label() != reason.label()));
        }
    }

    #[test]
    fn a_fault_of_ours_is_internal_and_what_passes_is_unavailable() {
        let audit =
            |error: AuditUnavailable| [Refused::Audit(error.clone()), IssueError::Audit(error).into()];
        let broken = || Arc::new(std::io::Error::other("broken"));
        let cases = [
            (audit(AuditUnavailable::NotEncoded(broken())), Code::Internal),
            (
                audit(AuditUnavailable::Write { path: Arc::from(Path::new("log")), source: broken() }),
                Code::Unavailable,
            ),
            (audit(AuditUnavailable::Closed), Code::Unavailable),
            (audit(AuditUnavailable::Overloaded { max_waiting: 1 }), Code::ResourceExhausted),
            ([IssueError::Panicked.into(), IssueError::Panicked.into()], Code::Internal),
        ];
        for (refused, code) in cases.into_iter().flat_map(|(refused, code)| refused.map(|one| (one, code))) {
            assert_eq!(Reason::of(&refused).class().0, code, "{refused:?}");
        }
        assert_eq!(Reason::of(&IssueError::Interrupted.into()).class().0, Code::Unavailable);
    }

    #[test]
    fn a_caller_is_told_the_class_the_remedy_and_the_request_and_nothing_else() {
        let request_id = RequestId::random();
        for reason in Reason::ALL {
            let status = status(reason, None, &request_id);

            assert!(status.message().ends_with(&format!("(request {request_id})")), "{reason:?}");
            assert_eq!(status.metadata().get(REQUEST_ID).unwrap(), request_id.as_str(), "{reason:?}");
        }
        let told = |reason| status(reason, None, &request_id).message().to_owned();
        assert_eq!(told(Reason::NoCredentials), told(Reason::TokenRefused), "why is nobody's business");
        assert_eq!(told(Reason::UnknownIssuer), told(Reason::TokenRefused), "why is nobody's business");
    }

    #[test]
    fn while_a_root_travels_a_caller_is_told_why_and_until_when() {
        let until = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let travels = Refused::from(IssueError::NobodySigns { until: Some(until) });
        let request_id = RequestId::random();

        let status = status(Reason::of(&travels), super::until(&travels), &request_id);

        assert_eq!(status.code(), Code::Unavailable);
        for words in ["until proxies have the root", "will be at 2027-01-15T08:00:00Z", request_id.as_str()] {
            assert!(status.message().contains(words), "{words}: {}", status.message());
        }
        let nobody = Refused::from(IssueError::NobodySigns { until: None });
        assert_eq!((Reason::of(&nobody), super::until(&nobody)), (Reason::SignerUnavailable, None));
    }

    #[test]
    fn who_should_come_back_is_told_when() {
        for reason in Reason::ALL {
            let status = status(reason, None, &RequestId::random());

            let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
            let temporary = matches!(status.code(), Code::ResourceExhausted | Code::Unavailable);
            assert_eq!(delay.is_some(), temporary, "{reason:?}");
        }
        assert_eq!(retry_after(0.0), Duration::from_secs(1));
        assert_eq!(retry_after(1.0), Duration::from_secs(3));
    }
}
