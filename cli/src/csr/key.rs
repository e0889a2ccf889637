//! Keys for CSRs, those among them that no CA should take.

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PublicKeyData, SigningKey,
};
use ring::digest::{SHA256, digest};
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::rand_core::OsRng;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use signet_identity::{KeyAlgorithm, PublicKey, SignatureAlgorithm};
use zeroize::Zeroizing;

/// The kinds that a CA of workloads takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// ECDSA on P-256
    #[default]
    P256,
    /// ECDSA on P-384
    P384,
    /// Ed25519
    Ed25519,
    /// RSA of 2048 bits
    #[value(name = "rsa-2048")]
    Rsa2048,
    /// RSA of 3072 bits
    #[value(name = "rsa-3072")]
    Rsa3072,
    /// RSA of 4096 bits
    #[value(name = "rsa-4096")]
    Rsa4096,
}

/// A key that signs CSRs.
pub(super) enum Key {
    /// One that ring signs with.
    Sound(Box<KeyPair>, SignatureAlgorithm),
    /// One that ring is too careful for.
    Weak(Box<RsaPrivateKey>),
}

impl Key {
    /// A new one. RSA takes its time: a second or several.
    pub(super) fn new(kind: Kind) -> Result<Self> {
        let rsa = |bits| Self::rsa(bits).and_then(|pem| Self::from_pem(&pem));
        match kind {
            Kind::P256 => Self::sound(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?),
            Kind::P384 => Self::sound(KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?),
            Kind::Ed25519 => Self::sound(KeyPair::generate_for(&PKCS_ED25519)?),
            Kind::Rsa2048 => rsa(2048),
            Kind::Rsa3072 => rsa(3072),
            Kind::Rsa4096 => rsa(4096),
        }
    }

    /// One of 1024 bits, which nobody should certify.
    pub(super) fn weak() -> Result<Self> {
        Ok(Self::Weak(Box::new(RsaPrivateKey::new(&mut OsRng, 1024).context("no RSA key could be made")?)))
    }

    /// One that is kept: PKCS#8 of any of the kinds.
    pub(super) fn from_pem(pem: &str) -> Result<Self> {
        let key = KeyPair::from_pem(pem).context(
            "it is no private key in PKCS#8 PEM (`openssl pkcs8 -topk8 -nocrypt` makes one of others)",
        )?;
        Self::sound(key)
    }

    /// Its SubjectPublicKeyInfo.
    pub(super) fn spki(&self) -> Result<Vec<u8>> {
        match self {
            Self::Sound(key, _) => Ok(key.subject_public_key_info()),
            Self::Weak(key) => Ok(key.to_public_key().to_public_key_der()?.into_vec()),
        }
    }

    /// By which it signs.
    pub(super) fn algorithm(&self) -> SignatureAlgorithm {
        match self {
            Self::Sound(_, algorithm) => *algorithm,
            Self::Weak(_) => SignatureAlgorithm::RsaSha256,
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Sound(key, _) => Ok(key.sign(message)?),
            Self::Weak(key) => {
                let scheme = Pkcs1v15Sign { hash_len: Some(32), prefix: SHA256_PREFIX.into() };
                Ok(key.sign(scheme, digest(&SHA256, message).as_ref())?)
            }
        }
    }

    /// PKCS#8. Secret.
    pub(super) fn to_pem(&self) -> Result<Zeroizing<String>> {
        match self {
            Self::Sound(key, _) => Ok(Zeroizing::new(key.serialize_pem())),
            Self::Weak(key) => Ok(key.to_pkcs8_pem(LineEnding::LF)?),
        }
    }

    fn rsa(bits: usize) -> Result<Zeroizing<String>> {
        let key = RsaPrivateKey::new(&mut OsRng, bits).context("no RSA key could be made")?;
        Ok(key.to_pkcs8_pem(LineEnding::LF)?)
    }

    fn sound(key: KeyPair) -> Result<Self> {
        let public = PublicKey::from_spki(&key.subject_public_key_info())?;
        let algorithm = match public.algorithm() {
            KeyAlgorithm::EcdsaP256 => SignatureAlgorithm::EcdsaSha256,
            KeyAlgorithm::EcdsaP384 => SignatureAlgorithm::EcdsaSha384,
            KeyAlgorithm::Ed25519 => SignatureAlgorithm::Ed25519,
            KeyAlgorithm::Rsa => SignatureAlgorithm::RsaSha256,
        };
        let proof = key.sign(b"proof").context("the key does not sign")?;
        ensure!(public.verify(algorithm, b"proof", &proof).is_ok(), "the key does not sign by {algorithm}");
        Ok(Self::Sound(Box::new(key), algorithm))
    }
}

/// Of a DigestInfo with SHA-256 (RFC 8017 §9.2).
const SHA256_PREFIX: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
