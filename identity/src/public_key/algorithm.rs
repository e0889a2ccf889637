//! The algorithms we know, by their DER.

use std::fmt;

/// The kinds of keys that may be certified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// ECDSA on the curve P-256 (secp256r1).
    EcdsaP256,
    /// ECDSA on the curve P-384 (secp384r1).
    EcdsaP384,
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// RSA of 2048 to 4096 bits.
    Rsa,
}

impl KeyAlgorithm {
    /// Its AlgorithmIdentifier, in DER.
    pub(crate) fn der(self) -> &'static [u8] {
        match self {
            Self::EcdsaP256 => P256,
            Self::EcdsaP384 => P384,
            Self::Ed25519 => ED25519,
            Self::Rsa => RSA,
        }
    }

    /// From an AlgorithmIdentifier. Compared as a whole, so that odd parameters match nothing.
    pub(crate) fn from_der(identifier: &[u8]) -> Option<Self> {
        match identifier {
            P256 => Some(Self::EcdsaP256),
            P384 => Some(Self::EcdsaP384),
            ED25519 => Some(Self::Ed25519),
            RSA => Some(Self::Rsa),
            _ => None,
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaP256 => "ECDSA P-256",
            Self::EcdsaP384 => "ECDSA P-384",
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA",
        })
    }
}

/// The signature algorithms that we verify in CSRs and may meet in signers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// ECDSA with SHA-256 (RFC 5758 §3.2).
    EcdsaSha256,
    /// ECDSA with SHA-384 (RFC 5758 §3.2).
    EcdsaSha384,
    /// Pure Ed25519 (RFC 8410 §3); the pre-hashed variant has another identifier and is refused.
    Ed25519,
    /// RSA PKCS #1 v1.5 with SHA-256 (RFC 4055 §5).
    RsaSha256,
    /// RSA PKCS #1 v1.5 with SHA-384 (RFC 4055 §5).
    RsaSha384,
    /// RSA PKCS #1 v1.5 with SHA-512 (RFC 4055 §5).
    RsaSha512,
}

impl SignatureAlgorithm {
    /// Its AlgorithmIdentifier, in DER.
    pub fn der(&self) -> &'static [u8] {
        match self {
            Self::EcdsaSha256 => ECDSA_SHA256,
            Self::EcdsaSha384 => ECDSA_SHA384,
            Self::Ed25519 => ED25519,
            Self::RsaSha256 => RSA_SHA256,
            Self::RsaSha384 => RSA_SHA384,
            Self::RsaSha512 => RSA_SHA512,
        }
    }

    /// From an AlgorithmIdentifier in DER; `None` for every other algorithm.
    pub fn from_der(identifier: &[u8]) -> Option<Self> {
        match identifier {
            ECDSA_SHA256 => Some(Self::EcdsaSha256),
            ECDSA_SHA384 => Some(Self::EcdsaSha384),
            ED25519 => Some(Self::Ed25519),
            RSA_SHA256 => Some(Self::RsaSha256),
            RSA_SHA384 => Some(Self::RsaSha384),
            RSA_SHA512 => Some(Self::RsaSha512),
            _ => None,
        }
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaSha256 => "ECDSA with SHA-256",
            Self::EcdsaSha384 => "ECDSA with SHA-384",
            Self::Ed25519 => "Ed25519",
            Self::RsaSha256 => "RSA with SHA-256",
            Self::RsaSha384 => "RSA with SHA-384",
            Self::RsaSha512 => "RSA with SHA-512",
        })
    }
}

// AlgorithmIdentifiers: SEQUENCE { OBJECT IDENTIFIER, parameters }.
const P256: &[u8] =
    &[0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22];
const ED25519: &[u8] = &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70];
const RSA: &[u8] = &[0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
const ECDSA_SHA256: &[u8] = &[0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const ECDSA_SHA384: &[u8] = &[0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
const RSA_SHA256: &[u8] = &[0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b, 5, 0];
const RSA_SHA384: &[u8] = &[0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0c, 5, 0];
const RSA_SHA512: &[u8] = &[0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0d, 5, 0];
