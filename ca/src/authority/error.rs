//! Why a certificate is not issued.

use std::time::SystemTime;

use humantime::format_rfc3339_seconds;
use signet_backends::IssuerError;
use signet_identity::SvidError;

use crate::audit::AuditUnavailable;

/// Why there is no certificate, ordered by whose fault it is. It is in the audit too, unless the audit is
/// why.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The record of it is not durable. If the certificate was made already, it was discarded.
    #[error("no certificate leaves without an audit record")]
    Audit(#[from] AuditUnavailable),
    /// The issuer made none.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The issuer made one that leads to none of its roots, and which issuer that is, is not ours to say; it was
    /// discarded.
    #[error(
        "the certificate leads to none of the roots that the authority signs under: Vault may sign by another issuer \
         by now, which is looked up within a second. Set `vault.issuer`, so that the last one goes on signing until \
         proxies have the new root"
    )]
    AnotherIssuer(#[source] SvidError),
    /// The issuer made one that peers would refuse; it was discarded.
    #[error("the issuer made a certificate that peers would refuse")]
    NotVerified(#[source] SvidError),
    /// The issuer made one that lives longer than was granted; it was discarded.
    #[error(
        "the issuer made a certificate that ends at {}, later than was asked for; it must not give more than the \
         `ttl` of a request", format_rfc3339_seconds(*ends)
    )]
    TooLong {
        /// Its end.
        ends: SystemTime,
    },
    /// No authority can sign: at start, and when one has ended before its successor may follow.
    #[error(
        "no authority can sign now: {}", until.map_or(
            "what the configured one signs by cannot be had; the source of the authority says why".to_owned(),
            |until| format!(
                "the one that signed until now cannot, and the next must wait until proxies have its root, at {}",
                format_rfc3339_seconds(until)
            ),
        )
    )]
    NobodySigns {
        /// When the next one will, if there is one.
        until: Option<SystemTime>,
    },
    /// Who signs for workloads must not sign for the CA, and nobody else was named.
    #[error("nobody signs the CA's own certificate: set `vault.serving_role`, or `serving.certificate_file`")]
    NoServingIssuer,
    /// A fault of ours, recorded as an outcome like any other.
    #[error("issuing panicked; what the panic said is on standard error. Please report it")]
    Panicked,
    /// The process ended first.
    #[error("the process is stopping")]
    Interrupted,
}

impl IssueError {
    /// Whether the same request may succeed later without anybody's help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::NobodySigns { .. } | Self::AnotherIssuer(_) | Self::Issuer(IssuerError::Unavailable(_)) => {
                true
            }
            Self::Issuer(IssuerError::Vault(error)) => error.is_temporary(),
            _ => false,
        }
    }
}
