//! Tokens as no honest issuer makes them.

use std::time::UNIX_EPOCH;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};
use signet_identity::Clock;
use signet_runtime::SystemClock;

/// The claims of a good token of `web`, to be spoiled.
pub(crate) fn claims(now: u64) -> Value {
    json!({
        "iss": crate::house::ISSUER,
        "sub": "system:serviceaccount:default:web",
        "aud": ["istio-ca"],
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
    })
}

/// Header and claims with a signature made of the bytes before it.
pub(crate) fn signed(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let encoded = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let message =
        format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", encoded(&signature))
}

/// HMAC with a secret that is no secret.
pub(crate) fn hs256(secret: &[u8]) -> impl FnOnce(&[u8]) -> Vec<u8> {
    move |message| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemClock.now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The parts of a token.
pub(crate) fn parts(token: &str) -> Vec<String> {
    token.split('.').map(str::to_owned).collect()
}
