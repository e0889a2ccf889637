//! A token issuer for laptops and tests, whose keys say what they are.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::jwks::{DEVELOPMENT_MEMBER, DEVELOPMENT_VALUE};
use super::{Pod, ring_provider};
use crate::PrivateKey;

/// Mints tokens shaped like Kubernetes' (ES256).
///
/// Its JWKS carries `"signet:use": "development"` on the key, and a CA refuses such keys unless it was
/// started for development.
pub struct DevelopmentIssuer {
    issuer: String,
    key_id: String,
    key: PrivateKey,
}

/// What a token is to say.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// The namespace of the service account.
    pub namespace: String,
    /// The service account.
    pub service_account: String,
    /// `aud`.
    pub audiences: Vec<String>,
    /// From now to `exp`, in whole seconds.
    pub lifetime: Duration,
    /// The pod it is bound to.
    pub pod: Pod,
}

impl DevelopmentIssuer {
    /// An issuer that signs by `key` and calls itself `issuer` (see [`DEVELOPMENT_ISSUER`]).
    pub fn new(key: PrivateKey, issuer: String) -> Self {
        let key_id = format!("{DEVELOPMENT_VALUE}-{:.16}", key.public_key().fingerprint().to_string());
        Self { issuer, key_id, key }
    }

    /// `iss` of its tokens.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its one key, marked as for development, as a JWK Set.
    pub fn jwks_json(&self) -> String {
        let point = self.key.public_key().key_bytes();
        let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
        let key = json!({
            "kty": "EC",
            "crv": "P-256",
            "x": URL_SAFE_NO_PAD.encode(x),
            "y": URL_SAFE_NO_PAD.encode(y),
            "kid": self.key_id,
            "use": "sig",
            "alg": "ES256",
            DEVELOPMENT_MEMBER: DEVELOPMENT_VALUE,
        });
        json!({ "keys": [key] }).to_string()
    }

    /// A token that is valid from `now`, cut to whole seconds, for the requested lifetime.
    pub fn mint(&self, request: &TokenRequest, now: SystemTime) -> Result<String, MintError> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.sign(&json!({
            "iss": self.issuer,
            "sub": format!("system:serviceaccount:{}:{}", request.namespace, request.service_account),
            "aud": request.audiences,
            "iat": now,
            "nbf": now,
            "exp": now.saturating_add(request.lifetime.as_secs()),
            "kubernetes.io": kubernetes(request),
        }))
    }

    /// A token of any claims.
    pub(crate) fn sign(&self, claims: &Value) -> Result<String, MintError> {
        ring_provider::install();
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.key_id.clone());
        let key = EncodingKey::from_ec_der(self.key.pkcs8_der());
        Ok(jsonwebtoken::encode(&header, claims, &key)?)
    }
}

/// There is no token: a fault of ours, or of the system's random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be made")]
pub struct MintError(#[from] jsonwebtoken::errors::Error);

impl fmt::Debug for DevelopmentIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevelopmentIssuer").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// What a [`DevelopmentIssuer`] calls itself unless told otherwise: a name that resolves nowhere (RFC 6761).
pub const DEVELOPMENT_ISSUER: &str = "https://development.signet.invalid";

fn kubernetes(request: &TokenRequest) -> Value {
    let mut claims = serde_json::Map::new();
    claims.insert("namespace".to_owned(), json!(request.namespace));
    claims.insert("serviceaccount".to_owned(), json!({ "name": request.service_account }));
    if let Some(name) = &request.pod.name {
        claims.insert("pod".to_owned(), json!({ "name": name, "uid": request.pod.uid }));
    }
    if let Some(node) = &request.pod.node {
        claims.insert("node".to_owned(), json!({ "name": node }));
    }
    Value::Object(claims)
}
