//! One link of a chain by itself: who is said to have signed a certificate, and whether they did.

use crate::x509::{Certificate, X509Error};
use crate::{PublicKey, PublicKeyError, SignatureAlgorithm};

/// Whether `signer` is the issuer that `certificate` names, and its key made the signature. Times, usages and whether
/// anybody trusts the signer are other questions: this finds the link at which a chain breaks.
///
/// # Errors
/// See [`LinkError`].
pub fn verify_link(certificate: &[u8], signer: &[u8]) -> Result<(), LinkError> {
    let (certificate, signer) = (Certificate::parse(certificate)?, Certificate::parse(signer)?);
    if certificate.issuer != signer.subject {
        return Err(LinkError::AnotherIssuer);
    }
    let algorithm =
        SignatureAlgorithm::from_der(certificate.algorithm).ok_or(LinkError::SignatureAlgorithm)?;
    let key = PublicKey::from_spki(signer.spki).map_err(LinkError::SignersKey)?;
    key.verify(algorithm, certificate.tbs, certificate.signature).map_err(LinkError::NotSigned)
}

/// Why one certificate does not lead to another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// One of both is no certificate.
    #[error("it is not well-formed")]
    Malformed(#[from] X509Error),
    /// The names do not meet.
    #[error("its issuer is not the subject of the next certificate")]
    AnotherIssuer,
    /// The signature is of an algorithm that is not verified here.
    #[error("its signature is of an algorithm that is not accepted")]
    SignatureAlgorithm,
    /// The key above it is of a kind that is not verified here.
    #[error("the key of its signer is of a kind that is not accepted")]
    SignersKey(#[source] PublicKeyError),
    /// The names meet, and another key signed it.
    #[error("it was not signed by that key: another authority of the same name did, or it was changed since")]
    NotSigned(#[source] PublicKeyError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::now;
    use crate::testing::TestAuthority;
    use crate::{PrivateKey, SpiffeId};

    #[test]
    fn a_link_holds_between_a_certificate_and_who_signed_it_alone() {
        let root = TestAuthority::new("td.test", now());
        let below = root.intermediate(now());
        let key = PrivateKey::generate().unwrap();
        let identity: SpiffeId = "spiffe://td.test/ns/a/sa/b".parse().unwrap();
        let leaf = &below.leaf(key.public_key(), &identity, now()).sign()[0];
        let (root, below) = (root.certificate().der(), below.certificate().der());

        assert_eq!(verify_link(leaf, below), Ok(()));
        assert_eq!(verify_link(below, root), Ok(()));
        assert_eq!(verify_link(root, root), Ok(()));
        assert_eq!(verify_link(leaf, root), Err(LinkError::AnotherIssuer));
        let mut changed = leaf.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        assert!(matches!(verify_link(&changed, below), Err(LinkError::NotSigned(_))));
        assert!(matches!(verify_link(b"nothing", below), Err(LinkError::Malformed(_))));
    }
}
