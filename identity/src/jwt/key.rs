//! One key of an issuer (RFC 7517 §4), pinned to the algorithms it signs by.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self as ring_signature, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

use super::JwtError;
use super::jws::{Algorithm, Jws};

/// A JWK as it is written (RFC 7518 §6, RFC 8037 §2).
#[derive(Deserialize)]
pub(super) struct Jwk {
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

/// A key that can be used.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    /// `alg`, if the issuer pins it closer than the kind of key does.
    only: Option<Algorithm>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// Uncompressed points.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Key {
    /// The key, or why it is skipped.
    pub(super) fn new(jwk: Jwk) -> Result<Self, String> {
        let because = |reason: String| format!("key {:?}: {reason}", jwk.kid.as_deref().unwrap_or_default());
        if let Some(usage) = jwk.usage.as_deref().filter(|usage| *usage != "sig") {
            return Err(because(format!("its use is {usage:?}, not \"sig\"")));
        }
        let material = Material::new(&jwk).map_err(because)?;
        let only = match &jwk.alg {
            None => None,
            Some(name) => Some(
                Algorithm::parse(name)
                    .filter(|algorithm| material.algorithms().contains(algorithm))
                    .ok_or_else(|| because(format!("its alg {name:?} is not accepted for its kind")))?,
            ),
        };
        Ok(Self { only, material, id: jwk.kid })
    }

    /// `kid`, if it has one.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Is `jws` signed by this key, and by an algorithm of it?
    pub(super) fn verify(&self, jws: &Jws<'_>) -> Result<(), JwtError> {
        let algorithm = jws.algorithm();
        let mismatch = || JwtError::NotTheKeysAlgorithm(algorithm.name().to_owned());
        if self.only.is_some_and(|only| only != algorithm) {
            return Err(mismatch());
        }
        let (message, signature) = (jws.signed(), jws.signature());
        match (&self.material, algorithm) {
            (Material::Rsa(key), Algorithm::Rs256) => {
                key.verify(&ring_signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            (Material::Rsa(key), Algorithm::Rs384) => {
                key.verify(&ring_signature::RSA_PKCS1_2048_8192_SHA384, message, signature)
            }
            (Material::Rsa(key), Algorithm::Rs512) => {
                key.verify(&ring_signature::RSA_PKCS1_2048_8192_SHA512, message, signature)
            }
            (Material::P256(key), Algorithm::Es256) => {
                UnparsedPublicKey::new(&ring_signature::ECDSA_P256_SHA256_FIXED, key)
                    .verify(message, signature)
            }
            (Material::P384(key), Algorithm::Es384) => {
                UnparsedPublicKey::new(&ring_signature::ECDSA_P384_SHA384_FIXED, key)
                    .verify(message, signature)
            }
            (Material::Ed25519(key), Algorithm::EdDsa) => {
                UnparsedPublicKey::new(&ring_signature::ED25519, key).verify(message, signature)
            }
            _ => return Err(mismatch()),
        }
        .map_err(|_| JwtError::BadSignature)
    }
}

impl Material {
    fn new(jwk: &Jwk) -> Result<Self, String> {
        match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (member(&jwk.n, "n")?, member(&jwk.e, "e")?);
                let leading_zeros = n.first().map_or(0, |byte| byte.leading_zeros() as usize);
                let bits = 8 * n.len() - leading_zeros;
                if !(2048..=4096).contains(&bits) {
                    return Err(format!("RSA of {bits} bits is not accepted, only 2048 to 4096"));
                }
                Ok(Self::Rsa(RsaPublicKeyComponents { n, e }))
            }
            ("EC", Some("P-256")) => Ok(Self::P256(point(jwk, 32)?)),
            ("EC", Some("P-384")) => Ok(Self::P384(point(jwk, 48)?)),
            ("OKP", Some("Ed25519")) => match member(&jwk.x, "x")? {
                x if x.len() == 32 => Ok(Self::Ed25519(x)),
                _ => Err("`x` is not of 32 bytes".to_owned()),
            },
            (kty, crv) => {
                Err(format!("its kind is {kty:?} {}, which is not accepted", crv.unwrap_or_default()))
            }
        }
    }

    fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::Rsa(_) => &[Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512],
            Self::P256(_) => &[Algorithm::Es256],
            Self::P384(_) => &[Algorithm::Es384],
            Self::Ed25519(_) => &[Algorithm::EdDsa],
        }
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
