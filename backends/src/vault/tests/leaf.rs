//! Vault signs each leaf: the conformance suite, and what a role does to a request.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use signet_identity::{Approved, CertificateRequest, Clock, PrivateKey, SpiffeId, TrustBundle, X509Svid};
use signet_runtime::SystemClock;

use super::{
    bao::{Bao, role},
    between::{Act, Between},
    client, soon,
};
use crate::{
    Issuer, IssuerError,
    conformance::{self, Backend, State, TRUST_DOMAIN},
    vault::{
        IssuerChain, IssuerPath, LeafRequest, Login, VaultError, VaultLeafIssuer, VaultSession,
        leaf::not_past,
    },
};

const HOUR: Duration = Duration::from_secs(3600);

async fn session(bao: &Bao, port: u16, lines: &str) -> Arc<VaultSession> {
    let file = bao.token_file(json!({"policies": ["signet"], "ttl": "1h"})).await;
    let auth = format!("{lines}\nauth.method = 'token-file'\nauth.token_file = '{}'", file.display());
    Arc::new(VaultSession::new(client(&[port], &auth), Login::Configured))
}

/// Leaves by the issuer that these lines of the configuration choose.
async fn backend(bao: &Bao, lines: &str) -> Backend {
    let vault = Between::before(bao.port).await;
    let session = session(bao, vault.port, lines).await;
    let chain = IssuerChain::read(session.client(), soon()).await.unwrap();
    let elsewhere = move |state| {
        vault.play(move |_, _| match state {
            State::Serves => Act::Pass,
            State::Silent => Act::Silence,
            State::Closed => Act::error(503, "", "Vault is sealed"),
        });
    };
    Backend {
        issuer: Arc::new(VaultLeafIssuer::workloads(session, &chain)),
        bundle: TrustBundle::new(TRUST_DOMAIN.parse().unwrap(), chain.roots, None).unwrap(),
        clock: || SystemClock.now(),
        signer_ends: chain.certificate.validity().not_after(),
        elsewhere: Some(Box::new(elsewhere)),
    }
}

#[tokio::test]
async fn vault_conforms_when_it_signs_each_leaf() {
    let bao = Bao::start().await;
    bao.add_intermediate("mesh").await;

    let by_the_role = async || backend(&bao, "").await;
    assert_eq!(conformance::failures("vault, the role's issuer", by_the_role).await, []);
    let by_name = async || backend(&bao, "issuer = 'mesh'").await;
    assert_eq!(conformance::failures("vault, a named intermediate", by_name).await, []);
}

#[test]
fn a_leaf_is_asked_for_that_ends_before_its_issuer() {
    let now = SystemClock.now();
    let second = Duration::from_secs(1);
    for (left, asked) in
        [(10 * HOUR, HOUR), (HOUR, HOUR - 60 * second), (61 * second, second), (second, second)]
    {
        assert_eq!(not_past(now + left, HOUR, now), asked, "{left:?}");
    }
}

/// What the CA asks certificates of its own for.
fn approved() -> Approved {
    let key = PrivateKey::generate().unwrap();
    let names = vec!["signet-ca.mesh.svc".to_owned()];
    Approved::for_the_authority(&TRUST_DOMAIN.parse().unwrap(), names, &key, HOUR).unwrap()
}

#[tokio::test]
async fn the_cas_own_certificate_has_its_names_by_a_role_of_its_own() {
    let bao = Bao::start().await;
    let mut serving = role();
    serving["allowed_domains"] = json!(["signet-ca.mesh.svc"]);
    serving["allow_bare_domains"] = json!(true);
    bao.write("pki/roles/serving", serving).await;
    let session = session(&bao, bao.port, "serving_role = 'serving'").await;
    let by = IssuerChain::read(session.client(), soon()).await.unwrap();
    let issuer = VaultLeafIssuer::serving(Arc::clone(&session), &by).unwrap();

    let approved = approved();
    let chain = issuer.issue(&approved, SystemClock.now(), soon()).await.unwrap();

    let bundle = TrustBundle::new(TRUST_DOMAIN.parse().unwrap(), by.roots.clone(), None).unwrap();
    let expected =
        signet_identity::Expected { identity: approved.identity(), public_key: approved.public_key() };
    let svid = X509Svid::verify(chain, expected, &bundle, SystemClock.now()).unwrap();
    let text = String::from_utf8_lossy(&svid.chain()[0]).into_owned();
    assert!(text.contains("signet-ca.mesh.svc"), "{text}");
    let workloads = VaultLeafIssuer::workloads(session, &by);
    let refused = workloads.issue(&approved, SystemClock.now(), soon()).await;
    assert!(matches!(refused, Err(IssuerError::Vault(VaultError::Refused { .. }))), "{refused:?}");
}

/// A role with this, and what it says to a request that is like all others.
#[tokio::test]
async fn what_a_role_refuses_is_told_in_its_words_and_asked_once() {
    let bao = Bao::start().await;
    for (setting, value, told) in [
        ("allowed_uri_sans", json!(["spiffe://other.example/*"]), "not valid for this role"),
        ("allowed_uri_sans", json!([]), "not allowed in this role"),
        ("key_type", json!("rsa"), "requires keys of type rsa"),
        ("require_cn", json!(true), "common_name field is required"),
    ] {
        let mut role = role();
        role[setting] = value;
        if setting == "key_type" {
            role["key_bits"] = json!(2048);
        }
        bao.write("pki/roles/signet-workload", role).await;
        let vault = Between::before(bao.port).await;
        let session = session(&bao, vault.port, "").await;

        let outcome = signed(&session, "signet-workload", None).await.map(drop);

        assert!(
            matches!(&outcome, Err(VaultError::Refused { reason, .. }) if reason.contains(told)),
            "{setting}: {outcome:?}"
        );
        assert_eq!(vault.count("/sign/"), 1, "{setting}");
    }
    let session_here = session(&bao, bao.port, "").await;
    let absent = signed(&session_here, "absent", None).await.map(drop);
    assert!(matches!(absent, Err(VaultError::Refused { .. })), "{absent:?}");
    let session_elsewhere = session(&bao, bao.port, "mount = 'elsewhere'").await;
    let denied = signed(&session_elsewhere, "absent", None).await.map(drop);
    assert!(matches!(denied, Err(VaultError::Denied { .. })), "{denied:?}");
}

async fn signed(
    session: &VaultSession,
    role: &str,
    lifetime: Option<Duration>,
) -> Result<crate::vault::Signed, VaultError> {
    let identity = SpiffeId::workload(&TRUST_DOMAIN.parse().unwrap(), "shop", "cart").unwrap();
    let csr_pem = CertificateRequest::pem(&PrivateKey::generate().unwrap(), &identity).unwrap();
    let request = LeafRequest { csr_pem: &csr_pem, identity: &identity, dns_names: &[], lifetime };
    request.sign(session, &IssuerPath::OfTheRole, role, soon()).await
}

#[tokio::test]
async fn a_lifetime_that_vault_cuts_is_used_and_told() {
    let bao = Bao::start().await;
    let session = session(&bao, bao.port, "").await;

    let cut = signed(&session, "signet-workload", Some(48 * HOUR)).await.unwrap();
    assert!(cut.warnings.iter().any(|warning| warning.contains("TTL")), "{:?}", cut.warnings);

    let whole = signed(&session, "signet-workload", Some(HOUR)).await.unwrap();
    assert_eq!(whole.warnings, [""; 0]);
}

#[tokio::test]
async fn a_role_is_asked_for_what_was_approved_and_reads_no_name_elsewhere() {
    let bao = Bao::start().await;
    let vault = Between::before(bao.port).await;
    let session = session(&bao, vault.port, "").await;
    let csr_pem = "a CSR";
    let identity = SpiffeId::workload(&TRUST_DOMAIN.parse().unwrap(), "shop", "cart").unwrap();
    let dns_names = ["a.test", "b.test"].map(str::to_owned);
    let request = LeafRequest { csr_pem, identity: &identity, dns_names: &dns_names, lifetime: Some(HOUR) };

    request.sign(&session, &IssuerPath::Issuer("i".to_owned()), "r", soon()).await.unwrap_err();

    let asked = vault.seen().pop().unwrap();
    assert!(asked.head.starts_with("POST /v1/pki/issuer/i/sign/r "), "{}", asked.head);
    let expected = json!({
        "csr": csr_pem,
        "common_name": "",
        "alt_names": "a.test,b.test",
        "exclude_cn_from_sans": true,
        "uri_sans": identity.as_str(),
        "ttl": "3600s",
        "format": "pem",
    });
    assert_eq!(serde_json::from_str::<Value>(&asked.body).unwrap(), expected);
}

#[tokio::test]
async fn what_vault_warns_of_is_a_few_lines() {
    let bao = Bao::start().await;
    let vault = Between::before(bao.port).await;
    let session = session(&bao, vault.port, "").await;
    let certificate = signed(&session, "signet-workload", Some(HOUR)).await.unwrap().chain;
    let data = body(&to_pem(&certificate[0]), &[]);
    let warnings = vec!["a\nb"; 100];
    let told = json!({"request_id": "r", "data": data, "warnings": warnings}).to_string();
    vault.play(move |_, _| Act::answer(200, "", &told));

    let warnings = signed(&session, "signet-workload", Some(HOUR)).await.unwrap().warnings;

    assert_eq!(warnings, ["a b"; 4]);
}

#[tokio::test]
async fn half_an_answer_is_asked_for_again() {
    let bao = Bao::start().await;
    let vault = Between::before(bao.port).await;
    let session = session(&bao, vault.port, "").await;
    session.log_in(soon()).await.unwrap();
    vault.play(|_, before| if before == 0 { Act::Cut(700) } else { Act::Pass });

    signed(&session, "signet-workload", Some(HOUR)).await.unwrap();

    assert_eq!(vault.count("/sign/"), 2);
}

#[tokio::test]
async fn an_answer_that_is_none_of_vaults_is_refused() {
    let bao = Bao::start().await;
    let vault = Between::before(bao.port).await;
    let session = session(&bao, vault.port, "").await;
    session.log_in(soon()).await.unwrap();
    let certificate = signed(&session, "signet-workload", Some(HOUR)).await.unwrap().chain;
    let pem = to_pem(&certificate[0]);
    let many: Vec<_> = (0..17).map(|_| pem.clone()).collect();
    for (answer, data) in [
        ("no data", Value::Null),
        ("no certificate", json!({"ca_chain": [], "expiration": 0})),
        ("no PEM", body("certificate", &[])),
        ("two in one", body(&format!("{pem}{pem}"), &[])),
        ("a key among the chain", body(&pem, &["-----BEGIN PRIVATE KEY-----".to_owned()])),
        ("a chain without end", body(&pem, &many)),
    ] {
        let told = json!({"request_id": "r", "data": data}).to_string();
        vault.play(move |_, _| Act::answer(200, "", &told));
        let outcome = signed(&session, "signet-workload", Some(HOUR)).await.map(drop);
        assert!(matches!(outcome, Err(VaultError::Nonsense { .. })), "{answer}: {outcome:?}");
    }
}

fn body(certificate: &str, ca_chain: &[String]) -> Value {
    json!({
        "certificate": certificate,
        "ca_chain": ca_chain,
        "issuing_ca": "",
        "serial_number": "",
        "expiration": 0,
    })
}

fn to_pem(der: &[u8]) -> String {
    use x509_cert::der::{Decode, EncodePem, pem::LineEnding};
    x509_cert::Certificate::from_der(der).unwrap().to_pem(LineEnding::LF).unwrap()
}
