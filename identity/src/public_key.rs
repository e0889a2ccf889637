//! Public keys of the kinds we accept, and the signatures they verify.

use std::fmt;

use der::asn1::{AnyRef, BitStringRef, UintRef};
use der::oid::ObjectIdentifier;
use der::{Decode, Encode, Reader, SliceReader};
use ring::signature::{self as ring_signature, UnparsedPublicKey, VerificationAlgorithm};

use crate::hex::hex;

mod algorithm;

pub use algorithm::{KeyAlgorithm, SignatureAlgorithm};

/// A public key of an allowed kind: ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits.
///
/// Holds the SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) byte for byte as it was given, so that what is
/// certified is what was proven. Whether an EC point lies on its curve is found out by [`Self::verify`],
/// which fails if it does not: every key we certify has verified a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    spki: Vec<u8>,
    algorithm: KeyAlgorithm,
    /// Where in `spki` the subjectPublicKey begins: it is the rest.
    key_at: usize,
}

impl PublicKey {
    /// From the DER of a SubjectPublicKeyInfo, with nothing after it.
    pub fn from_spki(der: &[u8]) -> Result<Self, PublicKeyError> {
        let (algorithm, key) = split(der).map_err(|_| PublicKeyError::Malformed)?;
        let Some(algorithm) = KeyAlgorithm::from_der(algorithm) else {
            return Err(PublicKeyError::NotAllowed { algorithm: describe(algorithm) });
        };
        match algorithm {
            KeyAlgorithm::EcdsaP256 => check_point(key, 65)?,
            KeyAlgorithm::EcdsaP384 => check_point(key, 97)?,
            KeyAlgorithm::Ed25519 if key.len() != 32 => return Err(PublicKeyError::Malformed),
            KeyAlgorithm::Ed25519 => {}
            KeyAlgorithm::Rsa => check_rsa(key)?,
        }
        Ok(Self { key_at: der.len() - key.len(), spki: der.to_vec(), algorithm })
    }

    /// From the bits of a key of that kind; see [`key_bytes`](Self::key_bytes).
    pub(crate) fn from_key_bytes(algorithm: KeyAlgorithm, key: &[u8]) -> Result<Self, PublicKeyError> {
        let spki = || {
            let algorithm = AnyRef::from_der(algorithm.der())?;
            SubjectPublicKeyInfo { algorithm, key: BitStringRef::from_bytes(key)? }.to_der()
        };
        Self::from_spki(&spki().map_err(|_| PublicKeyError::Malformed)?)
    }

    /// The SubjectPublicKeyInfo, verbatim.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The bits of the key: an uncompressed EC point, an Ed25519 key, or an RSAPublicKey (RFC 8017 §A.1.1).
    pub fn key_bytes(&self) -> &[u8] {
        self.spki.get(self.key_at..).unwrap_or_default()
    }

    /// Its kind.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(sha256(&self.spki))
    }

    /// The first 20 bytes of the SHA-256 of the key bits: a subjectKeyIdentifier (RFC 7093 §2, method 1).
    pub(crate) fn key_identifier(&self) -> [u8; 20] {
        let mut identifier = [0; 20];
        for (to, from) in identifier.iter_mut().zip(sha256(self.key_bytes())) {
            *to = from;
        }
        identifier
    }

    /// Checks `signature` over `message`. ECDSA signatures are ASN.1 DER, RSA ones PKCS #1 v1.5.
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), PublicKeyError> {
        let verification = verification(self.algorithm, algorithm)
            .ok_or(PublicKeyError::AlgorithmMismatch { key: self.algorithm, signature: algorithm })?;
        UnparsedPublicKey::new(verification, self.key_bytes())
            .verify(message, signature)
            .map_err(|_| PublicKeyError::BadSignature)
    }
}

/// RFC 5280 §4.1.2.7.
#[derive(der::Sequence)]
struct SubjectPublicKeyInfo<'a> {
    algorithm: AnyRef<'a>,
    key: BitStringRef<'a>,
}

/// SHA-256 of a SubjectPublicKeyInfo; prints as lower-case hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// Why a public key is refused, or a signature does not verify under it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// Not the DER of a SubjectPublicKeyInfo, or its key bits do not fit its algorithm.
    #[error("the public key is malformed")]
    Malformed,
    /// Well-formed, but of a kind we do not certify.
    #[error("a public key of algorithm {algorithm} is not allowed; {ALLOWED}")]
    NotAllowed {
        /// Its object identifiers, as dotted numbers.
        algorithm: String,
    },
    /// An RSA key too weak, or so large that verifying is a denial of service.
    #[error("an RSA key of {bits} bits is not allowed; {ALLOWED}")]
    RsaSize {
        /// The size of its modulus.
        bits: usize,
    },
    /// A compressed or hybrid EC point, which few TLS stacks read.
    #[error("the EC point is not in uncompressed form; write the key uncompressed (RFC 5480 §2.2)")]
    CompressedPoint,
    /// The signature was made by another kind of key.
    #[error("a key of algorithm {key} cannot have made a signature of algorithm {signature}")]
    AlgorithmMismatch {
        /// The kind of the key.
        key: KeyAlgorithm,
        /// What the signature claims to be.
        signature: SignatureAlgorithm,
    },
    /// Another key, another message, or an EC point that is not on its curve.
    #[error("the signature does not verify under the key")]
    BadSignature,
}

const ALLOWED: &str = "use ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits";

/// The AlgorithmIdentifier (as a whole) and the key bits of a SubjectPublicKeyInfo.
fn split(der: &[u8]) -> der::Result<(&[u8], &[u8])> {
    let mut reader = SliceReader::new(der)?;
    let parts = reader.sequence(|spki| {
        let algorithm = spki.tlv_bytes()?;
        let key = BitStringRef::decode(spki)?;
        Ok::<_, der::Error>((algorithm, key.as_bytes()))
    })?;
    reader.finish()?;
    let (algorithm, key) = parts;
    Ok((algorithm, key.ok_or_else(|| der::Error::from(der::ErrorKind::Failed))?))
}

fn check_point(point: &[u8], uncompressed_bytes: usize) -> Result<(), PublicKeyError> {
    match point.first() {
        Some(4) if point.len() == uncompressed_bytes => Ok(()),
        Some(2 | 3 | 6 | 7) => Err(PublicKeyError::CompressedPoint),
        _ => Err(PublicKeyError::Malformed),
    }
}

fn check_rsa(key: &[u8]) -> Result<(), PublicKeyError> {
    let modulus = SliceReader::new(key)
        .and_then(|mut reader| {
            let modulus = reader.sequence(|key| {
                let modulus = UintRef::decode(key)?;
                UintRef::decode(key)?;
                Ok::<_, der::Error>(modulus)
            })?;
            reader.finish()?;
            Ok(modulus)
        })
        .map_err(|_| PublicKeyError::Malformed)?;
    let bytes = modulus.as_bytes();
    let leading_zeros = bytes.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = 8 * bytes.len() - leading_zeros;
    if !(2048..=4096).contains(&bits) {
        return Err(PublicKeyError::RsaSize { bits });
    }
    Ok(())
}

/// The object identifiers of an AlgorithmIdentifier, for a person to look up.
pub(crate) fn describe(algorithm: &[u8]) -> String {
    let oids = SliceReader::new(algorithm).and_then(|mut reader| {
        reader.sequence(|identifier| {
            let mut oids = vec![<ObjectIdentifier>::decode(identifier)?.to_string()];
            if let Ok(parameter) = <ObjectIdentifier>::decode(identifier) {
                oids.push(parameter.to_string());
            }
            identifier.drain(identifier.remaining_len())?;
            Ok::<_, der::Error>(oids)
        })
    });
    oids.map_or_else(|_| "unreadable".to_owned(), |oids| oids.join(" with "))
}

fn verification(
    key: KeyAlgorithm,
    signature: SignatureAlgorithm,
) -> Option<&'static dyn VerificationAlgorithm> {
    use {KeyAlgorithm as Key, SignatureAlgorithm as Signature};
    Some(match (key, signature) {
        (Key::EcdsaP256, Signature::EcdsaSha256) => &ring_signature::ECDSA_P256_SHA256_ASN1,
        (Key::EcdsaP256, Signature::EcdsaSha384) => &ring_signature::ECDSA_P256_SHA384_ASN1,
        (Key::EcdsaP384, Signature::EcdsaSha256) => &ring_signature::ECDSA_P384_SHA256_ASN1,
        (Key::EcdsaP384, Signature::EcdsaSha384) => &ring_signature::ECDSA_P384_SHA384_ASN1,
        (Key::Ed25519, Signature::Ed25519) => &ring_signature::ED25519,
        (Key::Rsa, Signature::RsaSha256) => &ring_signature::RSA_PKCS1_2048_8192_SHA256,
        (Key::Rsa, Signature::RsaSha384) => &ring_signature::RSA_PKCS1_2048_8192_SHA384,
        (Key::Rsa, Signature::RsaSha512) => &ring_signature::RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    })
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    for (to, from) in digest.iter_mut().zip(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref()) {
        *to = *from;
    }
    digest
}

#[cfg(test)]
mod tests;
