//! The private key of a workload or of an authority.

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::{Zeroize, Zeroizing};

use crate::{KeyAlgorithm, PublicKey, pem};

/// An ECDSA P-256 private key.
///
/// Its PKCS#8 encoding (RFC 5958) is zeroised on drop and never printed; it cannot be cloned. The
/// parsed form is kept beside it, for parsing costs as much as signing does.
pub struct PrivateKey {
    pkcs8: Zeroizing<Vec<u8>>,
    pair: EcdsaKeyPair,
    public_key: PublicKey,
}

impl PrivateKey {
    /// A new key from the operating system's generator.
    pub fn generate() -> Result<Self, KeyError> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
            .map_err(|_| KeyError::NoRandomness)?;
        Self::from_pkcs8_der(pkcs8.as_ref())
    }

    /// From an unencrypted PKCS#8 PrivateKeyInfo that holds its public key too, as OpenSSL writes it.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, &SystemRandom::new())
            .map_err(|rejected| KeyError::Rejected { reason: rejected.to_string() })?;
        let public_key = PublicKey::from_key_bytes(KeyAlgorithm::EcdsaP256, pair.public_key().as_ref())
            .map_err(|_| KeyError::Rejected { reason: "its public key is malformed".to_owned() })?;
        Ok(Self { pkcs8: Zeroizing::new(der.to_vec()), pair, public_key })
    }

    /// From the first `PRIVATE KEY` block of a PEM text.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, KeyError> {
        let mut der =
            PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::NotPkcs8Pem)?;
        let key = Self::from_pkcs8_der(der.secret_pkcs8_der());
        der.zeroize();
        key
    }

    /// The PKCS#8 encoding. Secret.
    pub fn pkcs8_der(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The PKCS#8 encoding as one `PRIVATE KEY` block, zeroised on drop. Secret.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(pem::encode("PRIVATE KEY", &self.pkcs8))
    }

    /// The same key, as an authority holds it.
    pub(crate) fn into_parts(self) -> (Zeroizing<Vec<u8>>, EcdsaKeyPair, PublicKey) {
        (self.pkcs8, self.pair, self.public_key)
    }

    /// Its public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// An ECDSA signature with SHA-256 over `message`, in ASN.1 DER.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match self.pair.sign(&SystemRandom::new(), message) {
            Ok(signature) => Ok(signature.as_ref().to_vec()),
            Err(_) => Err(KeyError::NoRandomness),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey")
            .field("public_key", &self.public_key.fingerprint())
            .finish_non_exhaustive()
    }
}

/// To rcgen, which lays out CSRs and CA certificates, a key is something that signs.
impl rcgen::SigningKey for PrivateKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        PrivateKey::sign(self, message).map_err(|_| rcgen::Error::RingUnspecified)
    }
}

impl rcgen::PublicKeyData for PrivateKey {
    fn der_bytes(&self) -> &[u8] {
        self.public_key.key_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

/// Why there is no key, or no signature by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text has no `PRIVATE KEY` block.
    #[error(
        "no `PRIVATE KEY` block in the PEM; convert the key with `openssl pkcs8 -topk8 -nodes -in old.pem -out new.pem`"
    )]
    NotPkcs8Pem,
    /// Not PKCS#8, not P-256, or its two halves do not belong together.
    #[error("the private key is refused ({reason}); it must be ECDSA P-256 in unencrypted PKCS#8")]
    Rejected {
        /// What the cryptography library says about it; nothing of the key.
        reason: String,
    },
    /// The operating system's random number generator failed.
    #[error("the operating system gave no random numbers")]
    NoRandomness,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SignatureAlgorithm;

    #[test]
    fn a_key_survives_pem_and_der() {
        let key = PrivateKey::generate().unwrap();
        let from_pem = PrivateKey::from_pkcs8_pem(&key.to_pkcs8_pem()).unwrap();
        let from_der = PrivateKey::from_pkcs8_der(key.pkcs8_der()).unwrap();
        assert_eq!(from_pem.public_key(), key.public_key());
        assert_eq!(from_der.public_key(), key.public_key());
    }

    #[test]
    fn its_public_half_verifies_what_it_signs() {
        let key = PrivateKey::generate().unwrap();
        let signature = key.sign(b"message").unwrap();
        assert_eq!(key.public_key().algorithm(), KeyAlgorithm::EcdsaP256);
        assert_eq!(key.public_key().verify(SignatureAlgorithm::EcdsaSha256, b"message", &signature), Ok(()));
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = PrivateKey::generate().unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains("PrivateKey"), "{shown}");
        let secret = &key.pkcs8_der()[36..68];
        let as_numbers = secret.iter().take(6).map(u8::to_string).collect::<Vec<_>>().join(", ");
        assert!(!shown.contains(&as_numbers), "{shown}");
        assert!(!shown.contains(&crate::hex::hex(&secret[..8])), "{shown}");
    }

    #[test]
    fn other_keys_are_refused_with_a_remedy() {
        let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        for (name, refusal, remedy) in [
            ("P-384", PrivateKey::from_pkcs8_der(p384.serialized_der()), "P-256"),
            ("garbage", PrivateKey::from_pkcs8_der(b"garbage"), "PKCS#8"),
            ("not PEM", PrivateKey::from_pkcs8_pem("garbage"), "openssl pkcs8"),
            ("SEC1", PrivateKey::from_pkcs8_pem(&pem::encode("EC PRIVATE KEY", b"x")), "openssl pkcs8"),
        ] {
            let message = refusal.unwrap_err().to_string();
            assert!(message.contains(remedy), "{name}: {message}");
        }
    }
}
