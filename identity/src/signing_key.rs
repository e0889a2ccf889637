//! The private key of an authority, of any kind and in any of the forms that tools write.

use std::fmt;

use ring::error::KeyRejected;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::{Zeroize, Zeroizing};

use crate::public_key::describe;
use crate::{KeyAlgorithm, KeyError, PrivateKey, PublicKey, PublicKeyError, SignatureAlgorithm, pem};

mod forms;

use forms::{EcPrivateKey, PrivateKeyInfo};

/// ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits, from PKCS#8 (RFC 5958), SEC1 (RFC 5915) or
/// PKCS#1 (RFC 8017).
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

impl SigningKey {
    /// From a PEM text with exactly one private key. Other blocks (certificates, `EC PARAMETERS`) may stand
    /// beside it.
    ///
    /// # Errors
    /// See [`SigningKeyError`]; nothing of the key is in it.
    pub fn from_pem(text: &str) -> Result<Self, SigningKeyError> {
        if text.contains("ENCRYPTED") {
            return Err(SigningKeyError::Encrypted);
        }
        let (mut keys, mut damaged) = (Vec::with_capacity(1), false);
        for key in PrivateKeyDer::pem_slice_iter(text.as_bytes()) {
            match key {
                Ok(key) => keys.push(key),
                Err(_) => {
                    damaged = true;
                    break;
                }
            }
        }
        let key = match &keys[..] {
            _ if damaged => Err(SigningKeyError::NotPem),
            [] => Err(SigningKeyError::Absent),
            [key] => Self::from_der(key),
            _ => Err(SigningKeyError::Several),
        };
        keys.zeroize();
        key
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

    /// Whether a signature takes so long that nothing else should wait for it: with RSA 0.3 to 3 ms, with
    /// every other kind below 0.2 ms.
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
        let key = PrivateKeyInfo::of(der).map_err(|_| malformed(PKEY))?;
        match KeyAlgorithm::from_der(key.algorithm) {
            Some(KeyAlgorithm::EcdsaP256) => Self::p256(&EcPrivateKey::of(key.private_key)?),
            Some(KeyAlgorithm::EcdsaP384) => Self::p384(&EcPrivateKey::of(key.private_key)?),
            Some(KeyAlgorithm::Ed25519) => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
                pair.map(Self::Ed25519).map_err(|rejected| self::rejected(rejected, PKEY))
            }
            Some(KeyAlgorithm::Rsa) => Self::from_pkcs1(key.private_key),
            None => Err(PublicKeyError::NotAllowed { algorithm: describe(key.algorithm) }.into()),
        }
    }

    fn from_sec1(der: &[u8]) -> Result<Self, SigningKeyError> {
        let key = EcPrivateKey::of(der)?;
        match key.curve()? {
            KeyAlgorithm::EcdsaP384 => Self::p384(&key),
            _ => Self::p256(&key),
        }
    }

    fn p256(key: &EcPrivateKey<'_>) -> Result<Self, SigningKeyError> {
        key.pair(&ECDSA_P256_SHA256_ASN1_SIGNING).map(Self::P256)
    }

    fn p384(key: &EcPrivateKey<'_>) -> Result<Self, SigningKeyError> {
        key.pair(&ECDSA_P384_SHA384_ASN1_SIGNING).map(Self::P384)
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, SigningKeyError> {
        let public = forms::public_of_pkcs1(der).map_err(|_| malformed(PKEY))?;
        PublicKey::from_key_bytes(KeyAlgorithm::Rsa, &public)?;
        let pair = RsaKeyPair::from_der(der).map_err(|rejected| self::rejected(rejected, PKEY))?;
        Ok(Self::Rsa(Box::new(pair)))
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
        "it has no private key in it: want one `PRIVATE KEY`, `EC PRIVATE KEY` or `RSA PRIVATE KEY` block in \
         PEM"
    )]
    Absent,
    /// Which of them signs?
    #[error("it has several private keys in it; leave the one that belongs to the certificate")]
    Several,
    /// An elliptic-curve key that only has its private half.
    #[error("the private key lacks its public half; add it with `openssl {EC} -out new.pem`")]
    NoPublicHalf,
    /// Damaged, or its two halves do not belong together.
    #[error(
        "the private key is refused ({reason}); if it is whole, write it anew with \
         `openssl {remedy} -out new.pem`"
    )]
    Rejected {
        /// What is wrong with it; nothing of the key.
        reason: String,
        /// The command of openssl that writes it in a form that is read.
        remedy: &'static str,
    },
    /// Of a kind or a size that is not allowed.
    #[error("the private key is refused")]
    Public(#[from] PublicKeyError),
}

fn malformed(remedy: &'static str) -> SigningKeyError {
    SigningKeyError::Rejected { reason: "malformed".to_owned(), remedy }
}

fn rejected(reason: KeyRejected, remedy: &'static str) -> SigningKeyError {
    SigningKeyError::Rejected { reason: reason.to_string(), remedy }
}

const PKEY: &str = "pkey -in old.pem";
const EC: &str = "ec -in old.pem -conv_form uncompressed";

#[cfg(test)]
mod tests;
