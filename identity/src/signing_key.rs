//! The private key of an authority, of any kind and in any of the forms that tools write.

use std::fmt;

use der::Decode;
use der::asn1::{AnyRef, BitStringRef, OctetStringRef};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::{Zeroize, Zeroizing};

use crate::{KeyAlgorithm, KeyError, PrivateKey, PublicKey, PublicKeyError, SignatureAlgorithm, pem};

/// ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits, from PKCS#8 (RFC 5958), SEC1 (RFC 5915) or PKCS#1
/// (RFC 8017).
///
/// Its encoding is zeroised on drop and never printed; it cannot be cloned.
pub struct SigningKey {
    encoded: Encoded,
    pair: Pair,
    public_key: PublicKey,
}

/// As it was read.
struct Encoded {
    label: &'static str,
    der: Zeroizing<Vec<u8>>,
}

enum Pair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

/// ECPrivateKey (RFC 5915 §3).
#[derive(der::Sequence)]
struct EcPrivateKey<'a> {
    version: u8,
    private_key: &'a OctetStringRef,
    #[asn1(context_specific = "0", optional = "true", tag_mode = "EXPLICIT")]
    parameters: Option<AnyRef<'a>>,
    #[asn1(context_specific = "1", optional = "true", tag_mode = "EXPLICIT")]
    public_key: Option<BitStringRef<'a>>,
}

impl SigningKey {
    /// From a PEM text with exactly one private key. Other blocks (certificates, `EC PARAMETERS`) may stand beside it.
    ///
    /// # Errors
    /// See [`SigningKeyError`]; nothing of the key is in it.
    pub fn from_pem(text: &str) -> Result<Self, SigningKeyError> {
        if text.contains("ENCRYPTED") {
            return Err(SigningKeyError::Encrypted);
        }
        let keys: Result<Vec<_>, _> = PrivateKeyDer::pem_slice_iter(text.as_bytes()).collect();
        let mut keys = keys.map_err(|_| SigningKeyError::NotPem)?;
        let several = keys.len() > 1;
        let key = keys.pop().filter(|_| !several).map(|key| Self::from_der(&key));
        for mut rest in keys {
            rest.zeroize();
        }
        match key {
            _ if several => Err(SigningKeyError::Several),
            None => Err(SigningKeyError::Absent),
            Some(key) => key,
        }
    }

    fn from_der(key: &PrivateKeyDer<'_>) -> Result<Self, SigningKeyError> {
        let (label, pair) = match key {
            PrivateKeyDer::Pkcs8(key) => ("PRIVATE KEY", Pair::from_pkcs8(key.secret_pkcs8_der())),
            PrivateKeyDer::Sec1(key) => ("EC PRIVATE KEY", Pair::from_sec1(key.secret_sec1_der())),
            PrivateKeyDer::Pkcs1(key) => ("RSA PRIVATE KEY", Pair::from_pkcs1(key.secret_pkcs1_der())),
            _ => return Err(SigningKeyError::Absent),
        };
        let pair = pair?;
        let public_key = pair.public_key()?;
        Ok(Self {
            encoded: Encoded { label, der: Zeroizing::new(key.secret_der().to_vec()) },
            pair,
            public_key,
        })
    }

    /// Its public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The algorithm of its signatures: the hash is the one that fits the key, SHA-256 for RSA.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        match self.pair {
            Pair::P256(_) => SignatureAlgorithm::EcdsaSha256,
            Pair::P384(_) => SignatureAlgorithm::EcdsaSha384,
            Pair::Ed25519(_) => SignatureAlgorithm::Ed25519,
            Pair::Rsa(_) => SignatureAlgorithm::RsaSha256,
        }
    }

    /// Whether a signature takes so long that nothing else should wait for it: with RSA 0.3 to 3 ms, with every other
    /// kind below 0.2 ms.
    pub fn is_slow(&self) -> bool {
        matches!(self.pair, Pair::Rsa(_))
    }

    /// A signature over `message`; ECDSA in ASN.1 DER, RSA by PKCS #1 v1.5.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::P256(pair) | Pair::P384(pair) => {
                pair.sign(&random, message).map(|signature| signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => return Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map(|()| signature)
            }
        };
        signature.map_err(|_| KeyError::NoRandomness)
    }

    /// As one PEM block of the form that it was read from, zeroised on drop. Secret.
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(pem::encode(self.encoded.label, &self.encoded.der))
    }
}

impl Pair {
    fn from_pkcs8(der: &[u8]) -> Result<Self, SigningKeyError> {
        let random = SystemRandom::new();
        let p256 =
            |der| EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, &random).map(Self::P256);
        let p384 =
            |der| EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, der, &random).map(Self::P384);
        let rsa = |der| RsaKeyPair::from_pkcs8(der).map(Box::new).map(Self::Rsa);
        let ed25519 = |der| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::Ed25519);
        p256(der)
            .or_else(|_| p384(der))
            .or_else(|_| ed25519(der))
            .or_else(|_| rsa(der))
            .map_err(|rejected| SigningKeyError::Rejected { reason: rejected.to_string() })
    }

    fn from_sec1(der: &[u8]) -> Result<Self, SigningKeyError> {
        let rejected = |reason: &str| SigningKeyError::Rejected { reason: reason.to_owned() };
        let key = EcPrivateKey::from_der(der).map_err(|_| rejected("malformed"))?;
        let private = key.private_key.as_bytes();
        let public = key
            .public_key
            .and_then(|bits| bits.as_bytes())
            .ok_or_else(|| rejected("without its public half"))?;
        let pair = |algorithm: &'static EcdsaSigningAlgorithm| {
            EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, public, &SystemRandom::new())
                .map_err(|error| rejected(&error.to_string()))
        };
        match private.len() {
            32 => pair(&ECDSA_P256_SHA256_ASN1_SIGNING).map(Self::P256),
            48 => pair(&ECDSA_P384_SHA384_ASN1_SIGNING).map(Self::P384),
            _ => Err(rejected("of another curve")),
        }
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, SigningKeyError> {
        let pair = RsaKeyPair::from_der(der);
        pair.map(|pair| Self::Rsa(Box::new(pair)))
            .map_err(|rejected| SigningKeyError::Rejected { reason: rejected.to_string() })
    }

    fn public_key(&self) -> Result<PublicKey, SigningKeyError> {
        let (algorithm, key) = match self {
            Self::P256(pair) => (KeyAlgorithm::EcdsaP256, pair.public_key().as_ref()),
            Self::P384(pair) => (KeyAlgorithm::EcdsaP384, pair.public_key().as_ref()),
            Self::Ed25519(pair) => (KeyAlgorithm::Ed25519, pair.public_key().as_ref()),
            Self::Rsa(pair) => (KeyAlgorithm::Rsa, pair.public_key().as_ref()),
        };
        Ok(PublicKey::from_key_bytes(algorithm, key)?)
    }
}

impl From<PrivateKey> for SigningKey {
    fn from(key: PrivateKey) -> Self {
        let (der, pair, public_key) = key.into_parts();
        Self { encoded: Encoded { label: "PRIVATE KEY", der }, pair: Pair::P256(pair), public_key }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("public_key", &self.public_key.fingerprint())
            .finish_non_exhaustive()
    }
}

/// Why there is no signing key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// A key file that needs a passphrase.
    #[error("the private key is encrypted; decrypt it with `openssl pkey -in old.pem -out new.pem`")]
    Encrypted,
    /// A block of the text is damaged.
    #[error("it is not PEM")]
    NotPem,
    /// There is none.
    #[error(
        "it has no private key in it: want one `PRIVATE KEY`, `EC PRIVATE KEY` or `RSA PRIVATE KEY` block in PEM"
    )]
    Absent,
    /// Which of them signs?
    #[error("it has several private keys in it; leave the one that belongs to the certificate")]
    Several,
    /// Of an unknown kind, damaged, or its two halves do not belong together.
    #[error(
        "the private key is refused ({reason}); write it anew with `openssl pkey -in old.pem -out new.pem`"
    )]
    Rejected {
        /// What the cryptography library says about it; nothing of the key.
        reason: String,
    },
    /// Of a size that is not allowed.
    #[error("the private key is refused")]
    Public(#[from] PublicKeyError),
}

#[cfg(test)]
mod tests;
