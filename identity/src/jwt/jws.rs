//! The compact form of JWS (RFC 7515 §7.1), taken apart so that its signature can be verified first and its
//! payload be read once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto, decode_header};

use super::{JwtError, MAX_TOKEN_BYTES, ring_provider};

/// A token taken apart. Nothing about it is proven.
pub(super) struct Jws<'a> {
    algorithm: Algorithm,
    key_id: Option<String>,
    /// Header and payload as they were sent: what is signed.
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Jws<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, JwtError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(JwtError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed("form"))?;
        let (_, payload) = signed.split_once('.').ok_or(JwtError::Malformed("form"))?;
        let header = decode_header(token).map_err(JwtError::Header)?;
        if header.crit.is_some() {
            return Err(JwtError::CriticalExtension);
        }
        Ok(Self { algorithm: header.alg, key_id: header.kid, signed, payload, signature })
    }

    /// `alg` of the header: a claim of the token's, to be held against the key.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Is it signed by `key`, by the algorithm that its header names? The caller has made sure that this is
    /// an algorithm of the key's.
    pub(super) fn verify(&self, key: &DecodingKey) -> Result<(), JwtError> {
        ring_provider::install();
        match crypto::verify(self.signature, self.signed.as_bytes(), key, self.algorithm) {
            Ok(true) => Ok(()),
            Ok(false) => Err(JwtError::BadSignature),
            Err(_not_base64url) => Err(JwtError::Malformed("signature")),
        }
    }

    pub(super) fn payload(&self) -> Result<Vec<u8>, JwtError> {
        URL_SAFE_NO_PAD.decode(self.payload).map_err(|_| JwtError::Malformed("payload"))
    }
}
