use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair};
use serde_json::{Value, json};

use super::*;
use crate::test_support::rsa_2048;
use crate::{ManualClock, PrivateKey};

const NOW: u64 = 1_900_000_000;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn rules() -> TokenRules {
    TokenRules {
        issuer: DEVELOPMENT_ISSUER.to_owned(),
        audiences: vec!["istio-ca".to_owned(), "signet".to_owned()],
        leeway: Duration::ZERO,
    }
}

fn issuer() -> DevelopmentIssuer {
    DevelopmentIssuer::new(PrivateKey::generate().unwrap(), DEVELOPMENT_ISSUER.to_owned())
}

fn keys(issuer: &DevelopmentIssuer) -> Jwks {
    Jwks::from_json(issuer.jwks_json().as_bytes()).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": DEVELOPMENT_ISSUER, "sub": "system:serviceaccount:shop:cart", "aud": ["istio-ca"],
        "nbf": NOW, "exp": NOW + 100,
    })
}

/// The claims with one of them replaced, or taken away by `null`.
fn claims_but(name: &str, value: Value) -> Value {
    let mut claims = claims();
    let members = claims.as_object_mut().unwrap();
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
    claims
}

fn verified(claims: &Value, rules: &TokenRules, now: u64) -> Result<VerifiedToken, JwtError> {
    let issuer = issuer();
    verify(&issuer.sign(claims).unwrap(), &keys(&issuer), rules, at(now))
}

/// A token of any header, signed by whatever `sign` does.
fn token(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// The header was not even read; why is the library's to word.
fn header_refused() -> JwtError {
    JwtError::Header(jsonwebtoken::errors::ErrorKind::InvalidToken.into())
}

fn alike(one: &JwtError, other: &JwtError) -> bool {
    matches!((one, other), (JwtError::Header(_), JwtError::Header(_))) || one == other
}

fn rsa_pair() -> RsaKeyPair {
    RsaKeyPair::from_pkcs8(rsa_2048()).unwrap()
}

fn rsa_sign(encoding: &'static dyn RsaEncoding) -> impl FnOnce(&[u8]) -> Vec<u8> {
    move |message| {
        let pair = rsa_pair();
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }
}

fn rsa_jwk() -> Value {
    let parts: ring::signature::RsaPublicKeyComponents<Vec<u8>> = rsa_pair().public().into();
    json!({ "kty": "RSA", "kid": "rsa", "n": URL_SAFE_NO_PAD.encode(parts.n), "e": URL_SAFE_NO_PAD.encode(parts.e) })
}

fn jwks(keys: &[Value]) -> Jwks {
    Jwks::from_json(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

#[test]
fn a_minted_token_is_accepted_and_read() {
    let clock = ManualClock::at(at(NOW));
    let request = TokenRequest {
        namespace: "shop".to_owned(),
        service_account: "cart".to_owned(),
        audiences: vec!["istio-ca".to_owned(), "vault".to_owned()],
        lifetime: Duration::from_secs(5),
        pod: Pod {
            name: Some("cart-7".to_owned()),
            uid: Some("1-2".to_owned()),
            node: Some("node-a".to_owned()),
        },
    };
    let issuer = issuer();
    let minted = issuer.mint(&request, crate::Clock::now(&clock)).unwrap();
    let token = verify(&minted, &keys(&issuer), &rules(), at(NOW)).unwrap();
    assert_eq!(token.subject(), "system:serviceaccount:shop:cart");
    assert_eq!(token.issuer(), DEVELOPMENT_ISSUER);
    assert_eq!(token.audiences(), ["istio-ca", "vault"]);
    assert_eq!(token.expires_at(), at(NOW + 5));
    let kubernetes = token.kubernetes().unwrap();
    assert_eq!((kubernetes.namespace.as_str(), kubernetes.service_account.as_str()), ("shop", "cart"));
    assert_eq!(kubernetes.pod, request.pod);
    assert_eq!(
        verify(&minted, &keys(&issuer), &rules(), at(NOW + 5)).unwrap_err(),
        JwtError::Expired,
        "five seconds later"
    );
}

#[test]
fn a_token_needs_every_claim() {
    for claim in ["exp", "nbf", "iss", "aud", "sub"] {
        let refusal = verified(&claims_but(claim, Value::Null), &rules(), NOW).unwrap_err();
        assert_eq!(refusal, JwtError::MissingClaim(claim));
    }
}

#[test]
fn every_claim_is_checked() {
    let wanted = rules().audiences;
    let wrong_audience = |found: &[&str]| JwtError::WrongAudience {
        found: found.iter().map(ToString::to_string).collect(),
        wanted: wanted.clone(),
    };
    let wrong_issuer = JwtError::WrongIssuer { found: "b".to_owned(), wanted: DEVELOPMENT_ISSUER.to_owned() };
    let table = [
        ("expired", "exp", json!(NOW), JwtError::Expired),
        ("expired by a fraction", "exp", json!(NOW as f64 - 0.5), JwtError::Expired),
        ("not yet valid", "nbf", json!(NOW + 1), JwtError::NotYetValid),
        ("another issuer", "iss", json!("b"), wrong_issuer),
        ("another audience", "aud", json!("vault"), wrong_audience(&["vault"])),
        ("other audiences", "aud", json!(["a", "b"]), wrong_audience(&["a", "b"])),
        ("no audience", "aud", json!([]), wrong_audience(&[])),
        ("no subject", "sub", json!(""), JwtError::EmptySubject),
        ("a negative time", "exp", json!(-1), JwtError::Malformed("exp")),
        ("an endless time", "exp", json!(1e300), JwtError::Malformed("exp")),
        ("a time in words", "exp", json!("tomorrow"), JwtError::Malformed("payload")),
        ("a subject that is a number", "sub", json!(1), JwtError::Malformed("payload")),
        (
            "Kubernetes without account",
            "kubernetes.io",
            json!({"namespace": "a"}),
            JwtError::Malformed("payload"),
        ),
    ];
    for (name, claim, value, refusal) in table {
        assert_eq!(verified(&claims_but(claim, value), &rules(), NOW).unwrap_err(), refusal, "{name}");
    }
}

#[test]
fn an_audience_may_be_a_string() {
    let token = verified(&claims_but("aud", json!("signet")), &rules(), NOW).unwrap();
    assert_eq!(token.audiences(), ["signet"]);
}

#[test]
fn leeway_widens_both_ends_and_no_further() {
    let lenient = TokenRules { leeway: Duration::from_secs(60), ..rules() };
    for (now, accepted) in [(NOW - 61, false), (NOW - 60, true), (NOW + 159, true), (NOW + 160, false)] {
        assert_eq!(verified(&claims(), &lenient, now).is_ok(), accepted, "at {now}");
    }
}

#[test]
fn every_algorithm_verifies_under_its_key() {
    let (p384, ed25519) = (pair(&rcgen::PKCS_ECDSA_P384_SHA384), pair(&rcgen::PKCS_ED25519));
    let point = rcgen::PublicKeyData::der_bytes(&p384);
    let (x, y) = point[1..].split_at(48);
    let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let p384_jwk = json!({ "kty": "EC", "crv": "P-384", "kid": "p384", "x": b64(x), "y": b64(y) });
    let x = b64(rcgen::PublicKeyData::der_bytes(&ed25519));
    let ed25519_jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": x });
    let keys = jwks(&[rsa_jwk(), p384_jwk, ed25519_jwk]);
    let header = |alg, kid| json!({ "alg": alg, "kid": kid });
    let table = [
        ("RS256", token(&header("RS256", "rsa"), &claims(), rsa_sign(&RSA_PKCS1_SHA256))),
        ("RS384", token(&header("RS384", "rsa"), &claims(), rsa_sign(&RSA_PKCS1_SHA384))),
        ("RS512", token(&header("RS512", "rsa"), &claims(), rsa_sign(&RSA_PKCS1_SHA512))),
        ("ES384", token(&header("ES384", "p384"), &claims(), |message| es384(&p384, message))),
        (
            "EdDSA",
            token(&header("EdDSA", "ed"), &claims(), |m| rcgen::SigningKey::sign(&ed25519, m).unwrap()),
        ),
    ];
    for (name, token) in table {
        let verified = verify(&token, &keys, &rules(), at(NOW));
        assert!(verified.is_ok(), "{name}: {verified:?}");
        let (header, signature) = (token.split('.').next().unwrap(), token.rsplit('.').next().unwrap());
        let others = URL_SAFE_NO_PAD.encode(claims_but("sub", json!("somebody:else")).to_string());
        let tampered = format!("{header}.{others}.{signature}");
        assert_eq!(
            verify(&tampered, &keys, &rules(), at(NOW)).unwrap_err(),
            JwtError::BadSignature,
            "{name}"
        );
    }
}

fn pair(algorithm: &'static rcgen::SignatureAlgorithm) -> rcgen::KeyPair {
    rcgen::KeyPair::generate_for(algorithm).unwrap()
}

fn es384(pair: &rcgen::KeyPair, message: &[u8]) -> Vec<u8> {
    use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
    let random = SystemRandom::new();
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pair.serialized_der(), &random).unwrap();
    pair.sign(&random, message).unwrap().as_ref().to_vec()
}

#[test]
fn a_token_cannot_choose_how_it_is_verified() {
    let issuer = issuer();
    let keys = keys(&issuer);
    let kid = Jws::parse(&issuer.sign(&claims()).unwrap()).unwrap().key_id().unwrap().to_owned();
    let public_key = issuer.jwks_json().into_bytes();
    let with_public_key_as_secret = |message: &[u8]| {
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &public_key);
        ring::hmac::sign(&secret, message).as_ref().to_vec()
    };
    let header = |alg| json!({ "alg": alg, "kid": kid });
    let not_the_keys = |name: &str| JwtError::NotTheKeysAlgorithm(name.to_owned());
    let table = [
        ("unsigned", token(&header("none"), &claims(), |_| Vec::new()), header_refused()),
        ("None", token(&header("None"), &claims(), |_| Vec::new()), header_refused()),
        (
            "HMAC under the public key",
            token(&header("HS256"), &claims(), with_public_key_as_secret),
            not_the_keys("HS256"),
        ),
        ("RSA-PSS", token(&header("PS256"), &claims(), |_| vec![0; 256]), not_the_keys("PS256")),
        (
            "RS256 under an EC key",
            token(&header("RS256"), &claims(), rsa_sign(&RSA_PKCS1_SHA256)),
            not_the_keys("RS256"),
        ),
        (
            "ES384 under a P-256 key",
            token(&header("ES384"), &claims(), |_| vec![0; 96]),
            not_the_keys("ES384"),
        ),
        ("no signature", token(&header("ES256"), &claims(), |_| Vec::new()), JwtError::BadSignature),
        ("a signature of zeros", token(&header("ES256"), &claims(), |_| vec![0; 64]), JwtError::BadSignature),
    ];
    for (name, token, refusal) in table {
        let refused = verify(&token, &keys, &rules(), at(NOW)).unwrap_err();
        assert!(alike(&refused, &refusal), "{name}: {refused:?}");
    }
}

#[test]
fn a_key_pinned_to_one_algorithm_verifies_no_other() {
    let mut jwk = rsa_jwk();
    jwk.as_object_mut().unwrap().insert("alg".to_owned(), json!("RS512"));
    let token = token(&json!({"alg": "RS256", "kid": "rsa"}), &claims(), rsa_sign(&RSA_PKCS1_SHA256));
    let refusal = JwtError::NotTheKeysAlgorithm("RS256".to_owned());
    assert_eq!(verify(&token, &jwks(&[jwk]), &rules(), at(NOW)).unwrap_err(), refusal);
}

#[test]
fn the_key_is_found_by_its_id() {
    let sign = |kid: Option<&str>| {
        let header = kid.map_or(json!({"alg": "RS256"}), |kid| json!({"alg": "RS256", "kid": kid}));
        token(&header, &claims(), rsa_sign(&RSA_PKCS1_SHA256))
    };
    let mut other = rsa_jwk();
    other.as_object_mut().unwrap().insert("kid".to_owned(), json!("other"));
    // The same id on a key that is no longer in use: n is that of another key.
    let mut stale = rsa_jwk();
    stale.as_object_mut().unwrap().insert("n".to_owned(), json!(URL_SAFE_NO_PAD.encode([0xff; 256])));
    let one = jwks(&[rsa_jwk()]);
    let two = jwks(&[other, rsa_jwk()]);
    let rotating = jwks(&[stale.clone(), rsa_jwk()]);
    let too_many = jwks(&[stale.clone(), stale.clone(), stale.clone(), stale, rsa_jwk()]);
    let unknown = |kid: &str| Err(JwtError::UnknownKey { key_id: Some(kid.to_owned()) });
    let table = [
        ("its id", &one, Some("rsa"), Ok(())),
        ("its id among several", &two, Some("rsa"), Ok(())),
        ("an id nobody has", &two, Some("new"), unknown("new")),
        ("no id and one key", &one, None, Ok(())),
        ("no id and several keys", &two, None, Err(JwtError::NoKeyId)),
        ("two keys of the id", &rotating, Some("rsa"), Ok(())),
        ("more keys of the id than are tried", &too_many, Some("rsa"), Err(JwtError::BadSignature)),
        ("no key at all", &jwks(&[]), Some("rsa"), unknown("rsa")),
    ];
    for (name, keys, kid, outcome) in table {
        let verified = verify(&sign(kid), keys, &rules(), at(NOW)).map(|_| ());
        assert_eq!(verified, outcome, "{name}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let issuer = issuer();
    let good = issuer.sign(&claims()).unwrap();
    let signed_by_nobody = |header: &str| format!("{}.e30.", URL_SAFE_NO_PAD.encode(header));
    let long = format!("{good}{}", "A".repeat(MAX_TOKEN_BYTES));
    let table = [
        ("nothing", String::new(), JwtError::Malformed("form")),
        ("one part", "e30".to_owned(), JwtError::Malformed("form")),
        ("two parts", "e30.e30".to_owned(), JwtError::Malformed("form")),
        ("four parts", format!("e30.{good}"), header_refused()),
        ("padding", good.replacen('.', "=.", 1), header_refused()),
        ("not base64url", good.replacen('.', "+.", 1), header_refused()),
        ("no JSON", signed_by_nobody("x"), header_refused()),
        ("no algorithm", signed_by_nobody("{}"), header_refused()),
        ("two algorithms", signed_by_nobody(r#"{"alg":"ES256","alg":"none"}"#), header_refused()),
        ("an extension", signed_by_nobody(r#"{"alg":"ES256","crit":["b64"]}"#), JwtError::CriticalExtension),
        ("too long", long, JwtError::TooLong),
    ];
    for (name, token, refusal) in table {
        let refused = verify(&token, &keys(&issuer), &rules(), at(NOW)).unwrap_err();
        assert!(alike(&refused, &refusal), "{name}: {refused:?}");
        assert!(peek(&token).is_err(), "{name}");
    }
}

#[test]
fn peeking_reads_and_proves_nothing() {
    let header = json!({ "alg": "ES256", "kid": "k" });
    let seen = peek(&token(&header, &claims(), |_| vec![1])).unwrap();
    let expected = Unverified {
        issuer: Some(DEVELOPMENT_ISSUER.to_owned()),
        subject: Some("system:serviceaccount:shop:cart".to_owned()),
        audiences: vec!["istio-ca".to_owned()],
        expires_at: Some(at(NOW + 100)),
        key_id: Some("k".to_owned()),
    };
    assert_eq!(seen, expected);
    let empty = peek(&token(&json!({ "alg": "ES256" }), &json!({}), |_| vec![1])).unwrap();
    assert_eq!(
        empty,
        Unverified { issuer: None, subject: None, audiences: Vec::new(), expires_at: None, key_id: None }
    );
}

#[test]
fn unusable_keys_are_skipped_and_told() {
    let with = |name: &str, value: Value| {
        let mut jwk = rsa_jwk();
        jwk.as_object_mut().unwrap().insert(name.to_owned(), value);
        jwk
    };
    let table = [
        ("another kind", json!({ "kty": "oct", "k": "AAAA" }), "oct"),
        ("another curve", json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA" }), "P-521"),
        ("X25519", json!({ "kty": "OKP", "crv": "X25519", "x": "AA" }), "X25519"),
        ("encryption", with("use", json!("enc")), "enc"),
        ("RSA-1024", with("n", json!(URL_SAFE_NO_PAD.encode([0xff; 128]))), "1024 bits"),
        ("RSA-8192", with("n", json!(URL_SAFE_NO_PAD.encode([0xff; 1024]))), "8192 bits"),
        ("RSA-PSS", with("alg", json!("PS256")), "PS256"),
        ("RSA without exponent", json!({ "kty": "RSA", "n": "AA" }), "`e`"),
        ("a short point", json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" }), "32 bytes"),
        ("padded numbers", with("n", json!("AA==")), "base64url"),
        ("no kind", json!({}), "not a JWK"),
        ("no object", json!(1), "not a JWK"),
    ];
    for (name, jwk, reason) in table {
        let keys = jwks(&[jwk, rsa_jwk()]);
        assert_eq!(keys.len(), 1, "{name}");
        assert!(keys.skipped()[0].contains(reason), "{name}: {:?}", keys.skipped());
    }
}

#[test]
fn a_jwks_is_bounded() {
    assert_eq!(Jwks::from_json(b"{}").unwrap_err(), JwksError::Malformed);
    assert_eq!(Jwks::from_json(b"garbage").unwrap_err(), JwksError::Malformed);
    let of = |count: usize| json!({ "keys": vec![json!({ "kty": "EC" }); count] }).to_string();
    assert!(Jwks::from_json(of(MAX_JWKS_KEYS).as_bytes()).is_ok());
    let refusal = JwksError::TooManyKeys { count: MAX_JWKS_KEYS + 1 };
    assert_eq!(Jwks::from_json(of(MAX_JWKS_KEYS + 1).as_bytes()).unwrap_err(), refusal);
    let padded = |bytes: usize| of(0) + &" ".repeat(bytes - of(0).len());
    assert!(Jwks::from_json(padded(MAX_JWKS_BYTES).as_bytes()).unwrap().is_empty());
    assert_eq!(Jwks::from_json(padded(MAX_JWKS_BYTES + 1).as_bytes()).unwrap_err(), JwksError::TooLong);
}

#[test]
fn a_development_key_is_known_as_one() {
    assert!(keys(&issuer()).is_development());
    assert!(!jwks(&[rsa_jwk()]).is_development());
    // Also when the key itself is skipped: its issuer is not one to trust.
    let mut marked = rsa_jwk();
    marked
        .as_object_mut()
        .unwrap()
        .extend([("signet:use".to_owned(), json!("development")), ("use".to_owned(), json!("enc"))]);
    assert!(jwks(&[marked, rsa_jwk()]).is_development());
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(header in ".{0,40}", payload in ".{0,40}", rest in ".{0,20}") {
        let token = format!("{}.{}.{rest}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let _ = peek(&token);
        let _ = verify(&token, &jwks(&[]), &rules(), at(NOW));
    }
}
