//! The port of certificate making: an approval in, a chain out.

use std::time::SystemTime;

use async_trait::async_trait;
use rustls_pki_types::CertificateDer;
use signet_identity::{Approved, TemplateError, ValidityError};
use tokio::time::Instant;

use crate::{SignError, vault::VaultError};

/// Makes the certificate that an [`Approved`] allows.
#[async_trait]
pub trait Issuer: Send + Sync {
    /// The leaf first, then each intermediate, never the root.
    ///
    /// Nothing of the answer is proven yet: the caller verifies it as a peer would (`X509Svid::verify`)
    /// before it leaves the process. `now` is when the certificate begins; the issuer may cut the lifetime,
    /// never lengthen it. Nobody waits for an answer after `deadline`: an issuer that asks another authority has
    /// given up by then.
    ///
    /// # Errors
    /// See [`IssuerError`]. A failed call may be repeated: at worst a second certificate is made.
    async fn issue(
        &self,
        approved: &Approved,
        now: SystemTime,
        deadline: Instant,
    ) -> Result<Vec<CertificateDer<'static>>, IssuerError>;
}

/// Why no certificate was made, ordered by whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The operator's to mend: the signing certificate is over, or the clock is wrong.
    #[error(
        "authority {key_id} cannot sign now. Check this machine's clock; if it is right, restart the CA: it says how \
         to begin with a new root"
    )]
    AuthorityNotValid {
        /// Subject key identifier of the authority, in hex.
        key_id: String,
        /// Which of the two.
        source: ValidityError,
    },
    /// The signer cannot be reached: worth another attempt later.
    #[error("no signature could be had")]
    Unavailable(#[source] SignError),
    /// The signer answered, and not with a signature: ours to mend.
    #[error("the signature failed")]
    Signature(#[source] SignError),
    /// Vault made none: its operator's to mend, or a matter of time.
    #[error("Vault signed nothing")]
    Vault(#[from] VaultError),
    /// The certificate could not be laid out: ours to mend.
    #[error("the certificate could not be encoded")]
    Template(#[source] TemplateError),
}

impl From<SignError> for IssuerError {
    fn from(error: SignError) -> Self {
        match error {
            SignError::Unavailable { .. } => Self::Unavailable(error),
            SignError::Key(_) => Self::Signature(error),
        }
    }
}
