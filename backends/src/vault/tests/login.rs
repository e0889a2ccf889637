//! Each way to log in, at a real Vault.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD};
use serde_json::json;
use signet_identity::{
    Clock, Pod, PrivateKey,
    jwt::{DevelopmentIssuer, TokenRequest},
};
use signet_runtime::SystemClock;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{
    bao::{Bao, write_private},
    between::{Act, Between},
    client, config, soon,
};
use crate::vault::{Login, VaultClient, VaultError, VaultFileError, VaultSession};

async fn log_in(port: u16, auth: &str) -> Result<(), VaultError> {
    VaultSession::new(client(&[port], auth), Login::Configured).log_in(soon()).await
}

fn issuer() -> DevelopmentIssuer {
    DevelopmentIssuer::new(PrivateKey::generate().unwrap(), "https://issuer.example".to_owned())
}

fn token(issuer: &DevelopmentIssuer, audience: &str) -> String {
    let request = TokenRequest {
        namespace: "shop".to_owned(),
        service_account: "cart".to_owned(),
        audiences: vec![audience.to_owned()],
        lifetime: Duration::from_secs(600),
        pod: Pod::default(),
    };
    issuer.mint(&request, now()).unwrap()
}

fn now() -> SystemTime {
    SystemClock.now()
}

/// An issuer's documents, but for an error where it is away.
fn play_issuer(server: &Between, issuer: &DevelopmentIssuer, is_away: fn(usize) -> bool) {
    let (jwks, url) = (issuer.jwks_json(), format!("http://127.0.0.1:{}", server.port));
    let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/jwks")}).to_string();
    server.play(move |seen, before| match seen.head.contains("/jwks") {
        _ if is_away(before) => Act::error(500, "", "etcd is away"),
        true => Act::answer(200, "", &jwks),
        false => Act::answer(200, "", &discovery),
    });
}

#[tokio::test]
async fn a_secret_id_is_read_again_at_each_login() {
    let bao = Bao::start().await;
    let auth = bao.accept_approle(json!({"secret_id_num_uses": 1})).await;
    log_in(bao.port, &auth).await.unwrap();
    let session = VaultSession::new(client(&[bao.port], &auth), Login::Configured);
    session.log_in(soon()).await.unwrap_err();

    let secret_id = bao.write("auth/approle/role/signet/secret-id", json!({})).await;
    let padded = format!("\n{}\n", secret_id["data"]["secret_id"].as_str().unwrap());
    write_private(&bao.directory.path().join("secret-id"), &padded);
    tokio::time::sleep(Duration::from_millis(600)).await;

    session.log_in(soon()).await.unwrap();
}

#[tokio::test]
async fn a_jwt_logs_in_from_a_file_that_all_may_read_or_by_whoever_holds_it() {
    let (bao, issuer) = (Bao::start().await, issuer());
    let jwks = issuer.jwks_json();
    let jwks = Between::alone(move |_, _| Act::answer(200, "", &jwks)).await;
    bao.accept_jwt(jwks.port).await;
    let file = bao.directory.path().join("jwt");
    fs::write(&file, token(&issuer, "vault")).unwrap();
    let auth = format!("auth.method = 'jwt'\nauth.role = 'signet'\nauth.jwt_file = '{}'", file.display());

    log_in(bao.port, &auth).await.unwrap();

    let held = Login::Jwt(Zeroizing::new(token(&issuer, "vault")));
    VaultSession::new(client(&[bao.port], &auth), held).log_in(soon()).await.unwrap();
    let for_others = Login::Jwt(Zeroizing::new(token(&issuer, "istio-ca")));
    let refused = VaultSession::new(client(&[bao.port], &auth), for_others).log_in(soon()).await;
    assert!(
        matches!(&refused, Err(VaultError::Refused { reason, .. }) if reason.contains("audience")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_jwt_login_outlasts_an_issuer_that_is_away_for_a_moment() {
    for document in ["/jwks", "/.well-known/openid-configuration"] {
        let (bao, issuer) = (Bao::start().await, issuer());
        let api_server = Between::before(0).await;
        play_issuer(&api_server, &issuer, |_| false);
        let url = format!("http://127.0.0.1:{}", api_server.port);
        bao.accept_jwt_by(match document {
            "/jwks" => json!({"jwks_url": format!("{url}/jwks")}),
            _ => json!({"oidc_discovery_url": url}),
        })
        .await;
        let held = || Login::Jwt(Zeroizing::new(token(&issuer, "vault")));
        let client = client(&[bao.port], "auth.method = 'jwt'\nauth.role = 'signet'");
        // It has nothing in memory of the time when it was configured.
        bao.seal().await;
        bao.unseal().await;

        api_server.play(|_, _| Act::error(500, "", "etcd is away"));
        let away = VaultSession::new(client.clone(), held()).log_in(Instant::now() + HOUR).await.unwrap_err();

        assert!(away.is_temporary() && away.label() == "unconfirmed", "{document}: {away}");
        assert!(away.to_string().contains("etcd is away"), "{away}");
        let asked = api_server.count(document);
        assert!((2..=5).contains(&asked), "{document} asked for {asked} times");

        play_issuer(&api_server, &issuer, |before| before == 0);
        VaultSession::new(client, held()).log_in(soon()).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_certificate_logs_in() {
    let bao = Bao::start_tls().await;
    let ours = rcgen::generate_simple_self_signed(["signet-ca".to_owned()]).unwrap();
    let [ca, certificate, key] =
        ["vault-ca.pem", "ours.pem", "ours.key"].map(|name| bao.directory.path().join(name));
    fs::write(&certificate, ours.cert.pem()).unwrap();
    write_private(&key, &ours.signing_key.serialize_pem());
    bao.write("sys/auth/cert", json!({"type": "cert"})).await;
    let role = json!({"certificate": ours.cert.pem(), "token_policies": ["signet"]});
    bao.write("auth/cert/certs/signet", role).await;
    for (role, outcome) in [("", true), ("auth.role = 'signet'", true), ("auth.role = 'other'", false)] {
        let lines = format!(
            "address = ['https://127.0.0.1:{}']\nca_file = '{}'\nclient_certificate_file = '{}'\n\
             client_key_file = '{}'\nauth.method = 'cert'\n{role}",
            bao.port,
            ca.display(),
            certificate.display(),
            key.display()
        );
        let client = VaultClient::new(config(&lines), "t").unwrap();
        let logged_in = VaultSession::new(client, Login::Configured).log_in(soon()).await;
        assert_eq!(logged_in.is_ok(), outcome, "{role}: {logged_in:?}");
    }
}

#[tokio::test]
async fn a_client_certificate_that_was_replaced_is_shown_at_the_next_login() {
    let bao = Bao::start_tls().await;
    let [old, new] =
        ["old", "new"].map(|name| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap());
    let [ca, certificate, key] =
        ["vault-ca.pem", "ours.pem", "ours.key"].map(|name| bao.directory.path().join(name));
    bao.write("sys/auth/cert", json!({"type": "cert"})).await;
    let role = json!({"certificate": new.cert.pem(), "token_policies": ["signet"]});
    bao.write("auth/cert/certs/signet", role).await;
    let show = |pair: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        fs::write(&certificate, pair.cert.pem()).unwrap();
        write_private(&key, &pair.signing_key.serialize_pem());
    };
    show(&old);
    let lines = format!(
        "address = ['https://127.0.0.1:{}']\nca_file = '{}'\nclient_certificate_file = '{}'\n\
         client_key_file = '{}'\nauth.method = 'cert'",
        bao.port,
        ca.display(),
        certificate.display(),
        key.display()
    );
    let client = VaultClient::new(config(&lines), "t").unwrap();
    let unknown = VaultSession::new(client.clone(), Login::Configured).log_in(soon()).await;
    assert!(matches!(unknown, Err(VaultError::Refused { .. })), "{unknown:?}");

    show(&new);

    VaultSession::new(client, Login::Configured).log_in(soon()).await.unwrap();
}

#[tokio::test]
async fn a_token_file_that_everybody_can_write_is_refused() {
    let bao = Bao::start().await;
    let file = bao.token_file(json!({})).await;
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o646)).unwrap();

    let shared =
        log_in(bao.port, &format!("auth.method = 'token-file'\nauth.token_file = '{}'", file.display()))
            .await;

    assert!(matches!(&shared, Err(VaultError::File(VaultFileError::Unfit(_)))), "{shared:?}");
}

#[tokio::test]
async fn a_token_file_is_taken_over_for_as_long_as_it_lives() {
    let bao = Bao::start().await;
    let file = bao.token_file(json!({"ttl": "1h"})).await;
    let auth = format!("auth.method = 'token-file'\nauth.token_file = '{}'", file.display());
    log_in(bao.port, &auth).await.unwrap();

    write_private(&file, "s.dead");
    let dead = log_in(bao.port, &auth).await;
    assert!(matches!(dead, Err(VaultError::Denied { .. })), "{dead:?}");
}

/// Vault only looks whom it is for, and whether it is over: the API server is the judge of it.
fn reviewable_token(ends: SystemTime) -> String {
    let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "aud": ["vault"],
        "nbf": seconds(ends - 2 * HOUR),
        "exp": seconds(ends),
        "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "cart", "uid": "UID"}},
    });
    [json!({"alg": "ES256"}).to_string(), claims.to_string(), "signature".to_owned()]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .join(".")
}

/// What an API server says when it reviews a token.
const REVIEWED: &str = r#"{"status":{"authenticated":true,"audiences":["vault"],"user":{"username":"system:serviceaccount:shop:cart",
    "uid":"UID","groups":["system:serviceaccounts","system:serviceaccounts:shop"]}}}"#;

#[tokio::test]
async fn a_kubernetes_login_outlasts_an_api_server_that_is_away_for_a_moment() {
    let bao = Bao::start().await;
    let api_server = Between::alone(|_, before| match before {
        0 | 1 => Act::error(500, "", "etcd is away"),
        _ => Act::answer(201, "content-type: application/json\r\n", REVIEWED),
    })
    .await;
    bao.accept_kubernetes(api_server.port).await;
    let file = bao.directory.path().join("jwt");
    fs::write(&file, reviewable_token(now() + HOUR)).unwrap();
    let auth = |role: &str| {
        format!("auth.method = 'kubernetes'\nauth.role = '{role}'\nauth.jwt_file = '{}'", file.display())
    };

    log_in(bao.port, &auth("signet")).await.unwrap();

    assert_eq!(api_server.seen().len(), 3);
    let refused = log_in(bao.port, &auth("other")).await;
    assert!(matches!(&refused, Err(VaultError::Refused { .. })), "{refused:?}");
}

#[tokio::test]
async fn what_vault_reads_in_a_token_is_refused_at_once_and_without_a_review() {
    let bao = Bao::start().await;
    let api_server = Between::alone(|_, _| Act::error(500, "", "etcd is away")).await;
    bao.accept_kubernetes(api_server.port).await;
    let (names, namespaces, audience) =
        ("bound_service_account_names", "bound_service_account_namespaces", "audience");
    let (good, over) = (now() + HOUR, now() - HOUR);
    for (ends, key, value, told) in [
        (good, names, "another", "service account name not authorized"),
        (good, namespaces, "another", "namespace not authorized"),
        (good, audience, "another", "invalid audience (aud) claim"),
        (over, audience, "vault", "invalid expiration time (exp) claim"),
    ] {
        let mut role = json!({names: "cart", namespaces: "shop", audience: "vault"});
        role[key] = json!(value);
        bao.write("auth/kubernetes/role/signet", role).await;
        let held = Login::Jwt(Zeroizing::new(reviewable_token(ends)));
        let client = client(&[bao.port], "auth.method = 'kubernetes'\nauth.role = 'signet'");
        let refused = VaultSession::new(client, held).log_in(soon()).await;
        assert!(
            matches!(&refused, Err(VaultError::Refused { reason, .. }) if reason.contains(told)),
            "{refused:?}"
        );
    }
    assert_eq!(api_server.seen().len(), 0);
}

#[tokio::test]
async fn a_login_that_is_not_confirmed_is_told_after_a_few_attempts_and_may_be_so_later() {
    let bao = Bao::start().await;
    let api_server = Between::alone(|_, _| Act::error(401, "", "Unauthorized")).await;
    bao.accept_kubernetes(api_server.port).await;
    let held = Login::Jwt(Zeroizing::new(reviewable_token(now() + HOUR)));
    let client = client(&[bao.port], "auth.method = 'kubernetes'\nauth.role = 'signet'");
    let unconfirmed = VaultSession::new(client, held).log_in(Instant::now() + HOUR).await.unwrap_err();
    assert!(unconfirmed.is_temporary() && unconfirmed.label() == "unconfirmed", "{unconfirmed}");
    let reviews = api_server.seen().len();
    assert!((2..=5).contains(&reviews), "{reviews} reviews");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named() {
    let bao = Bao::start().await;
    let auth = bao.accept_approle(json!({})).await;
    let file = bao.directory.path().join("secret-id");
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o646)).unwrap();
    let shared = log_in(bao.port, &auth).await;
    assert!(matches!(&shared, Err(VaultError::File(VaultFileError::Unfit(_)))), "{shared:?}");

    write_private(&file, " \n");
    let empty = log_in(bao.port, &auth).await;
    assert!(matches!(&empty, Err(VaultError::File(VaultFileError::Content { .. }))), "{empty:?}");

    fs::remove_file(&file).unwrap();
    let absent = log_in(bao.port, &auth).await.unwrap_err();
    assert!(absent.to_string().contains(&file.display().to_string()), "{absent}");
}

const HOUR: Duration = Duration::from_secs(3600);
