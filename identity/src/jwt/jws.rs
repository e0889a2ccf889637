//! The compact form of JWS (RFC 7515 §7.1): three parts in base64url, joined by dots.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{JwtError, MAX_TOKEN_BYTES};

/// A token taken apart. Nothing about it is proven.
pub(super) struct Jws<'a> {
    algorithm: Algorithm,
    key_id: Option<String>,
    /// Header and payload as they were sent: what is signed.
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, JwtError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(JwtError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed("form"))?;
        let (header, payload) = signed.split_once('.').ok_or(JwtError::Malformed("form"))?;
        let header = decode(header, "header")?;
        let header: Header<'_> =
            serde_json::from_slice(&header).map_err(|_| JwtError::Malformed("header"))?;
        if header.crit.is_some() {
            return Err(JwtError::CriticalExtension);
        }
        let algorithm = Algorithm::parse(&header.alg)
            .ok_or_else(|| JwtError::Algorithm(header.alg.chars().take(32).collect()))?;
        Ok(Self {
            algorithm,
            key_id: header.kid.map(Cow::into_owned),
            signed,
            payload,
            signature: decode(signature, "signature")?,
        })
    }

    /// `alg` of the header: a claim of the token's, to be held against the key.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    pub(super) fn signed(&self) -> &[u8] {
        self.signed.as_bytes()
    }

    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }

    pub(super) fn payload(&self) -> Result<Vec<u8>, JwtError> {
        decode(self.payload, "payload")
    }
}

/// The algorithms we verify (RFC 7518 §3.1, RFC 8037 §3.1): signatures by a public key, nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "RS384" => Some(Self::Rs384),
            "RS512" => Some(Self::Rs512),
            "ES256" => Some(Self::Es256),
            "ES384" => Some(Self::Es384),
            "EdDSA" => Some(Self::EdDsa),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow)]
    kid: Option<Cow<'a, str>>,
    crit: Option<IgnoredAny>,
}

fn decode(part: &str, name: &'static str) -> Result<Vec<u8>, JwtError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtError::Malformed(name))
}
