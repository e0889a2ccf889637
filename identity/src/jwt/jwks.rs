//! The keys of an issuer (RFC 7517), each pinned to the algorithms it signs by.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use std::sync::Arc;

use super::jws::Jws;
use super::{JwtError, Presented};

/// The public keys of one issuer. Which algorithm a key signs by is the key's property (`kty`, `crv`,
/// `alg`), never the token's, so that a token cannot choose how it is verified. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Jwks {
    keys: Arc<[Key]>,
    skipped: Arc<[String]>,
    development: bool,
}

impl Jwks {
    /// From a JWK Set of at most [`MAX_JWKS_BYTES`] and [`MAX_JWKS_KEYS`]. A key that we cannot use (of
    /// another kind or use, too weak, malformed) is skipped, as RFC 7517 §5 asks; see [`Self::skipped`].
    pub fn from_json(json: &[u8]) -> Result<Self, JwksError> {
        if json.len() > MAX_JWKS_BYTES {
            return Err(JwksError::TooLong);
        }
        let set: KeySet = serde_json::from_slice(json).map_err(|_| JwksError::Malformed)?;
        if set.keys.len() > MAX_JWKS_KEYS {
            return Err(JwksError::TooManyKeys { count: set.keys.len() });
        }
        let development = set.keys.iter().any(|key| {
            key.get(DEVELOPMENT_MEMBER).and_then(serde_json::Value::as_str) == Some(DEVELOPMENT_VALUE)
        });
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for key in set.keys {
            match serde_json::from_value(key).map_err(|_| "not a JWK".to_owned()).and_then(Key::new) {
                Ok(key) => keys.push(key),
                Err(reason) => skipped.push(reason),
            }
        }
        Ok(Self { keys: keys.into(), skipped: skipped.into(), development })
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Is there no key that can be used? Then no token verifies.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Why each of the other keys was skipped, to tell the operator about.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Does any key carry the mark of a [`DevelopmentIssuer`](super::DevelopmentIssuer)?
    pub fn is_development(&self) -> bool {
        self.development
    }

    /// Is there a key that `token` may be signed by? If not, the issuer may have new ones.
    pub fn knows_a_key_of(&self, token: &Presented<'_>) -> bool {
        self.that_may_have_signed(&token.jws).next().is_some()
    }

    /// Is `jws` signed by one of the keys?
    pub(super) fn verify(&self, jws: &Jws<'_>) -> Result<(), JwtError> {
        if jws.key_id().is_none() && self.keys.len() > 1 {
            return Err(JwtError::NoKeyId);
        }
        let mut result = None;
        for key in self.that_may_have_signed(jws).take(MAX_KEYS_TRIED) {
            match key.verify(jws) {
                Ok(()) => return Ok(()),
                Err(error) => result = Some(error),
            }
        }
        Err(result.unwrap_or_else(|| JwtError::UnknownKey { key_id: jws.key_id().map(str::to_owned) }))
    }

    fn that_may_have_signed(&self, jws: &Jws<'_>) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(|key| jws.key_id().is_none() || key.id.as_deref() == jws.key_id())
    }
}

/// Why a document is not a JWK Set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Longer than any honest one.
    #[error("the JWKS is longer than {MAX_JWKS_BYTES} bytes")]
    TooLong,
    /// Not JSON, or without `keys`.
    #[error("the JWKS is not a JSON object with a list `keys` (RFC 7517 §5)")]
    Malformed,
    /// More keys than any issuer rotates among.
    #[error("the JWKS has {count} keys; at most {MAX_JWKS_KEYS} are read")]
    TooManyKeys {
        /// How many it has.
        count: usize,
    },
}

/// The most that a JWKS document may have: real ones have 1 to 10 kB, some hundreds with certificates in
/// them.
pub const MAX_JWKS_BYTES: usize = 1 << 20;
/// The most keys that a JWKS may have.
pub const MAX_JWKS_KEYS: usize = 100;
/// Keys of the same `kid` that a token is tried against: an issuer that is rotating may have two.
const MAX_KEYS_TRIED: usize = 4;
/// A member of ours in a JWK, which a production CA refuses.
pub(super) const DEVELOPMENT_MEMBER: &str = "signet:use";
/// Its value.
pub(super) const DEVELOPMENT_VALUE: &str = "development";

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// A JWK as it is written (RFC 7518 §6, RFC 8037 §2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// By which it signs, and no others: those of its kind, or the one that the issuer names (`alg`).
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl Key {
    /// The key, or why it is skipped.
    fn new(jwk: Jwk) -> Result<Self, String> {
        let because = |reason: String| format!("key {:?}: {reason}", jwk.kid.as_deref().unwrap_or_default());
        if let Some(usage) = jwk.usage.as_deref().filter(|usage| *usage != "sig") {
            return Err(because(format!("its use is {usage:?}, not \"sig\"")));
        }
        let (key, mut algorithms) = material(&jwk).map_err(because)?;
        if let Some(name) = &jwk.alg {
            algorithms.retain(|algorithm| name.parse() == Ok(*algorithm));
            if algorithms.is_empty() {
                return Err(because(format!("its alg {name:?} is not accepted for its kind")));
            }
        }
        Ok(Self { algorithms, key, id: jwk.kid })
    }

    fn verify(&self, jws: &Jws<'_>) -> Result<(), JwtError> {
        if !self.algorithms.contains(&jws.algorithm()) {
            return Err(JwtError::NotTheKeysAlgorithm(format!("{:?}", jws.algorithm())));
        }
        jws.verify(&self.key)
    }
}

/// The key itself, and the algorithms of its kind.
fn material(jwk: &Jwk) -> Result<(DecodingKey, Vec<Algorithm>), String> {
    match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let (n, e) = (member(&jwk.n, "n")?, member(&jwk.e, "e")?);
            let leading_zeros = n.first().map_or(0, |byte| byte.leading_zeros() as usize);
            let bits = 8 * n.len() - leading_zeros;
            if !(2048..=4096).contains(&bits) {
                return Err(format!("RSA of {bits} bits is not accepted, only 2048 to 4096"));
            }
            let key = DecodingKey::from_rsa_raw_components(&n, &e);
            Ok((key, vec![Algorithm::RS256, Algorithm::RS384, Algorithm::RS512]))
        }
        ("EC", Some("P-256")) => Ok((DecodingKey::from_ec_der(&point(jwk, 32)?), vec![Algorithm::ES256])),
        ("EC", Some("P-384")) => Ok((DecodingKey::from_ec_der(&point(jwk, 48)?), vec![Algorithm::ES384])),
        ("OKP", Some("Ed25519")) => match member(&jwk.x, "x")? {
            x if x.len() == 32 => Ok((DecodingKey::from_ed_der(&x), vec![Algorithm::EdDSA])),
            _ => Err("`x` is not of 32 bytes".to_owned()),
        },
        (kty, crv) => Err(format!("its kind is {kty:?} {}, which is not accepted", crv.unwrap_or_default())),
    }
}

fn member(value: &Option<String>, name: &str) -> Result<Vec<u8>, String> {
    let value = value.as_ref().ok_or_else(|| format!("it has no `{name}`"))?;
    URL_SAFE_NO_PAD.decode(value).map_err(|_| format!("`{name}` is not base64url"))
}

/// The uncompressed point of `x` and `y`, both written in full (RFC 7518 §6.2.1.2).
fn point(jwk: &Jwk, coordinate_bytes: usize) -> Result<Vec<u8>, String> {
    let (x, y) = (member(&jwk.x, "x")?, member(&jwk.y, "y")?);
    if x.len() != coordinate_bytes || y.len() != coordinate_bytes {
        return Err(format!("`x` and `y` are not of {coordinate_bytes} bytes"));
    }
    Ok([&[4], &x[..], &y[..]].concat())
}
