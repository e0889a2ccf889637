//! Tokens that prove nobody: UNAUTHENTICATED, no word of why, no line in the audit, all of it in the log.

use std::time::{Duration, SystemTime};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use signet_identity::{
    Clock, PrivateKey,
    jwt::{DevelopmentIssuer, TokenRequest},
};
use signet_runtime::SystemClock;
use tonic::{Code, Status};

use crate::{
    csr,
    house::{House, ISSUER, logged, request, request_id, web},
    token::{claims, hs256, now, parts, signed},
};

/// The status of a token that must be refused, after looking at what everybody is told of it.
async fn refusal(house: &House, case: &str, token: &str) -> Status {
    let csr = csr::with_uris(&[csr::WEB]);
    let refused = house.client().await.create_certificate(request(token, &csr, 0)).await;
    let status = refused.expect_err(case);

    let id = request_id(status.metadata());
    assert!(status.message().contains(&id), "{case}: {}", status.message());
    assert!(house.audit(&id).is_empty(), "{case}: a stranger wrote to the audit log");
    status
}

#[tokio::test]
async fn a_token_that_proves_nobody_is_refused_and_nobody_is_told_why() {
    let house = House::open().await;
    let mut messages = Vec::new();
    for (case, token, reason) in bad_tokens(&house) {
        let status = refusal(&house, case, &token).await;

        assert_eq!(status.code(), Code::Unauthenticated, "{case}: {status:?}");
        let id = request_id(status.metadata());
        assert!(logged(&id).concat().contains(reason), "{case}: the log says {:?}", logged(&id));
        messages.push(status.message().replace(&id, ""));
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "the refusals differ: {messages:?}");
}

/// Each with what the operator's log must say of it. Fewer than the log's burst.
fn bad_tokens(house: &House) -> Vec<(&'static str, String, &'static str)> {
    let mint = |request: TokenRequest, at: SystemTime| house.issuer.mint(&request, at).unwrap();
    let at = SystemClock.now();
    let hour = Duration::from_secs(3600);
    let foreign = DevelopmentIssuer::new(PrivateKey::generate().unwrap(), "https://other.example".to_owned());
    let good = house.token();
    let [header, payload, signature] = parts(&good).try_into().unwrap();
    let kid = key_id(&header);
    vec![
        ("garbage", "x".to_owned(), "token_unreadable"),
        ("empty", String::new(), "token_unreadable"),
        ("expired", mint(web(), at - hour - Duration::from_secs(2)), "expired"),
        ("not yet valid", mint(web(), at + hour), "not yet valid"),
        (
            "another audience",
            mint(TokenRequest { audiences: vec!["vault".to_owned()], ..web() }, at),
            "audience",
        ),
        ("no audience", mint(TokenRequest { audiences: vec![], ..web() }, at), "aud"),
        ("another issuer", foreign.mint(&web(), at).unwrap(), "unknown_issuer"),
        ("no signature", format!("{header}.{payload}."), "token_refused"),
        (
            "another's payload",
            format!("{header}.{}.{signature}", parts(&other_account(house))[1]),
            "signature",
        ),
        ("alg none", signed(&json!({"alg": "none"}), &claims(now()), |_| Vec::new()), "algorithm"),
        (
            "alg none with kid",
            signed(&json!({"alg": "none", "kid": kid}), &claims(now()), |_| Vec::new()),
            "algorithm",
        ),
        ("HS256 with the key set", hmac_with(&kid, house.issuer.jwks_json().as_bytes()), "algorithm"),
        ("HS256 with the public key", hmac_with(&kid, &public_key(house)), "algorithm"),
        (
            "RS256 under an EC key",
            signed(&json!({"alg": "RS256", "kid": kid}), &claims(now()), |_| vec![1; 256]),
            "algorithm",
        ),
        (
            "a key nobody has",
            signed(&json!({"alg": "ES256", "kid": "x"}), &claims(now()), |_| vec![1; 64]),
            "publish",
        ),
        ("over our limit", "x".repeat(9 << 10), "no_credentials"),
    ]
}

fn other_account(house: &House) -> String {
    let other = TokenRequest { service_account: "db".to_owned(), ..web() };
    house.mint(&other)
}

fn hmac_with(kid: &str, secret: &[u8]) -> String {
    signed(&json!({"alg": "HS256", "kid": kid}), &claims(now()), hs256(secret))
}

fn key_id(header: &str) -> String {
    let header: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

/// The point of the issuer's key, as its key set gives it.
fn public_key(house: &House) -> Vec<u8> {
    let keys: Value = serde_json::from_str(&house.issuer.jwks_json()).unwrap();
    let coordinate = |name| BASE64_URL_SAFE_NO_PAD.decode(keys["keys"][0][name].as_str().unwrap()).unwrap();
    [vec![4], coordinate("x"), coordinate("y")].concat()
}

#[tokio::test]
async fn a_request_without_a_token_is_refused() {
    let house = House::open().await;
    let mut request = request("", &csr::with_uris(&[csr::WEB]), 0);
    request.metadata_mut().remove("authorization");

    let status = house.client().await.create_certificate(request).await.unwrap_err();

    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(logged(&request_id(status.metadata())).concat().contains("no_credentials"));
}

#[tokio::test]
async fn a_token_of_something_that_is_no_service_account_is_refused() {
    let house = House::open().await;
    // The issuer's own signature over another subject: it mints service accounts only, so the name is bent.
    let bent = TokenRequest { service_account: "web:admin".to_owned(), ..web() };
    let token = house.mint(&bent);

    assert_eq!(refusal(&house, "no service account", &token).await.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn the_first_bearer_value_is_judged_and_no_other() {
    let house = House::open().await;
    let mut request = request("bad", &csr::with_uris(&[csr::WEB]), 0);
    request.metadata_mut().append("authorization", format!("Bearer {}", house.token()).parse().unwrap());

    let status = house.client().await.create_certificate(request).await.unwrap_err();

    assert_eq!(status.code(), Code::Unauthenticated, "{ISSUER}: a failed token is no reason to try another");
}

#[tokio::test]
async fn a_header_list_over_the_limit_never_reaches_the_service() {
    let house = House::open().await;
    let huge = "x".repeat(40 << 10);

    let status = house.client().await.create_certificate(request(&huge, "", 0)).await.unwrap_err();

    assert!(status.metadata().get(signet_proto::metadata::REQUEST_ID).is_none(), "{status:?}");
    assert!(house.ask(&csr::with_uris(&[csr::WEB])).await.is_ok(), "the CA goes on serving others");
}
