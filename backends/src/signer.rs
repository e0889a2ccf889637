//! The port of a private key: bytes in, signature out.

use async_trait::async_trait;
use signet_identity::{KeyError, SignatureAlgorithm};

/// A private key that signs certificates. Where it lives (this process, a device, a service) is its own
/// affair.
#[async_trait]
pub trait Signer: Send + Sync {
    /// The algorithm of every signature this signer makes.
    fn algorithm(&self) -> SignatureAlgorithm;

    /// Signs the DER of a `TBSCertificate`. ECDSA signatures are ASN.1 (RFC 3279 §2.2.3).
    ///
    /// # Errors
    /// See [`SignError`].
    async fn sign(&self, to_be_signed: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// Why there is no signature, ordered by whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key cannot be reached now: worth another attempt later.
    #[error("the signing key cannot be reached: {reason}")]
    Unavailable {
        /// What stands in the way, for the operator.
        reason: String,
    },
    /// The key was there and would not sign: a fault of ours.
    #[error("the signing key would not sign")]
    Key(#[from] KeyError),
}
