//! CSRs from a caller who is authenticated: refused with the right class, in the audit log, without a word of
//! why.

use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use tonic::{Code, Status};

use crate::{
    csr::{self, Place, WEB},
    house::{House, logged, request, request_id},
};

/// The refusal of a CSR, after looking at what the audit says of it.
async fn refusal(house: &House, case: &str, csr: &str) -> Status {
    let status = house.ask(csr).await.expect_err(case);

    let id = request_id(status.metadata());
    let audit = house.audit(&id);
    assert_eq!(audit.len(), 1, "{case}: {audit:?}");
    assert_eq!(audit[0]["event"], "refused", "{case}");
    assert_eq!(audit[0]["caller"]["subject"], "system:serviceaccount:default:web", "{case}");
    let reason = audit[0]["reason"].as_str().unwrap();
    assert!(!status.message().contains(reason), "{case}: the caller is told {:?}", status.message());
    status
}

#[tokio::test]
async fn a_csr_that_is_none_is_refused_as_invalid() {
    let house = House::open().await;
    for (case, csr) in malformed() {
        let status = refusal(&house, case, &csr).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{case}: {status:?}");
    }
}

fn malformed() -> Vec<(&'static str, String)> {
    let good = csr::with_uris(&[WEB]);
    let ed25519 = csr::with_key(&KeyPair::generate_for(&PKCS_ED25519).unwrap(), |_| {});
    let mut trailing = csr::der(&good);
    trailing.push(0);
    let mut signature = csr::der(&good);
    let last = signature.len() - 1;
    signature[last] ^= 1;
    vec![
        ("empty", String::new()),
        ("no PEM", "hello".to_owned()),
        ("another PEM", good.replace("CERTIFICATE REQUEST", "CERTIFICATE")),
        ("two PEM blocks", good.clone() + &good),
        ("text after the block", good.clone() + "x"),
        ("trailing bytes", csr::pem(&trailing)),
        ("wrong signature", csr::pem(&signature)),
        ("another's signature", csr::patched(&good, b"/sa/web", b"/sa/wab", Place::First)),
        ("RSA-1024", csr::by_openssl(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"], &[])),
        ("P-521", csr::by_openssl(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"], &[])),
        ("secp256k1", csr::by_openssl(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"], &[])),
        ("Ed25519ph", csr::patched(&ed25519, ED25519, ED25519_PH, Place::Last)),
        ("Ed25519ph key", csr::patched(&ed25519, ED25519, ED25519_PH, Place::First)),
        ("an EC point not on the curve", off_the_curve(&good)),
        ("longer than any CSR", csr::with(|params| params.subject_alt_names = vec![csr::san(WEB); 500])),
    ]
}

/// 1.3.101.112 and 1.3.101.114 (RFC 8410 left the prehashed form out).
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
const ED25519_PH: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x72];

/// The last byte of the point's y coordinate is changed.
fn off_the_curve(csr: &str) -> String {
    let mut der = csr::der(csr);
    let point = [0x03, 0x42, 0x00, 0x04];
    let at = der.windows(4).position(|window| window == point).unwrap() + 3 + 64;
    der[at] ^= 1;
    csr::pem(&der)
}

#[tokio::test]
async fn a_csr_truncated_at_any_byte_is_refused_as_invalid() {
    let house = House::open().await;
    let mut client = house.client().await;
    let (token, der) = (house.token(), csr::der(&csr::with_uris(&[WEB])));
    for length in 0..der.len() {
        let request = crate::house::request(&token, &csr::pem(&der[..length]), 0);
        let status = client.create_certificate(request).await.expect_err(&format!("{length} bytes"));
        assert_eq!(status.code(), Code::InvalidArgument, "{length} bytes: {status:?}");
    }
}

#[tokio::test]
async fn a_csr_for_anything_but_the_callers_own_identity_is_denied() {
    let house = House::open().await;
    let long = format!("spiffe://cluster.local/ns/default/sa/{}", "w".repeat(2049 - 37));
    assert_eq!(long.len(), 2049);
    for (case, csr) in [
        ("no SAN", csr::with(|params| params.subject_alt_names.clear())),
        ("two URIs", csr::with_uris(&[WEB, "spiffe://cluster.local/ns/default/sa/db"])),
        ("its own twice", csr::with_uris(&[WEB, WEB])),
        (
            "a DNS name beside it",
            csr::with(|params| params.subject_alt_names.push(csr::dns("web.default.svc"))),
        ),
        (
            "a DNS name alone",
            csr::with(|params| params.subject_alt_names = vec![csr::dns("web.default.svc")]),
        ),
        ("another service account", csr::with_uris(&["spiffe://cluster.local/ns/default/sa/db"])),
        ("another namespace", csr::with_uris(&["spiffe://cluster.local/ns/prod/sa/web"])),
        ("another trust domain", csr::with_uris(&["spiffe://other.local/ns/default/sa/web"])),
        ("the trust domain itself", csr::with_uris(&["spiffe://cluster.local"])),
        ("the CA", csr::with_uris(&["spiffe://cluster.local/signet/ca"])),
        ("percent-encoding", csr::with_uris(&["spiffe://cluster.local/ns/default/sa/w%65b"])),
        ("upper case", csr::with_uris(&["SPIFFE://cluster.local/ns/default/sa/web"])),
        ("upper case in the trust domain", csr::with_uris(&["spiffe://Cluster.local/ns/default/sa/web"])),
        ("upper case in the path", csr::with_uris(&["spiffe://cluster.local/ns/default/sa/Web"])),
        ("a trailing slash", csr::with_uris(&["spiffe://cluster.local/ns/default/sa/web/"])),
        ("dots", csr::with_uris(&["spiffe://cluster.local/ns/default/sa/db/../web"])),
        ("a query", csr::with_uris(&["spiffe://cluster.local/ns/default/sa/web?x"])),
        ("2,049 bytes", csr::with_uris(&[&long])),
    ] {
        let status = refusal(&house, case, &csr).await;
        assert_eq!(status.code(), Code::PermissionDenied, "{case}: {status:?}");
    }
}

#[tokio::test]
async fn what_a_csr_asks_for_beside_its_name_is_ignored() {
    let house = House::open().await;

    let issued = house.ask(&csr::for_a_ca()).await.unwrap().into_inner();

    let text = crate::issuing::openssl_text(&issued.cert_chain[0]);
    for absent in ["CA:TRUE", "Certificate Sign", "CRL Sign", "Code Signing"] {
        assert!(!text.contains(absent), "{absent} was copied:\n{text}");
    }
    assert!(text.contains("CA:FALSE"), "{text}");
    assert_eq!(crate::issuing::openssl_subject(&issued.cert_chain[0]), "", "a name of its own choice");
}

#[tokio::test]
async fn every_kind_of_key_that_is_allowed_gets_a_certificate_that_openssl_accepts() {
    let house = House::open().await;
    let rsa = |bits| csr::by_openssl(&["-algorithm", "RSA", "-pkeyopt", bits], &[]);
    let p256 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    for (case, csr) in [
        ("P-256", csr::with_uris(&[WEB])),
        ("P-256 signed with SHA-384", csr::by_openssl(&p256, &["-sha384"])),
        ("P-384", csr::with_key(&KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(), |_| {})),
        ("Ed25519", csr::with_key(&KeyPair::generate_for(&PKCS_ED25519).unwrap(), |_| {})),
        ("RSA-2048", rsa("rsa_keygen_bits:2048")),
    ] {
        let issued = house.ask(&csr).await.unwrap_or_else(|status| panic!("{case}: {status:?}"));
        crate::issuing::assert_openssl_accepts(case, &issued.into_inner().cert_chain);
    }
}

#[tokio::test]
async fn a_storm_of_refused_csrs_is_in_the_audit_whole_and_in_the_log_in_part() {
    let house = House::open().await;
    let (mut client, token) = (house.client().await, house.token());
    let mut ids = Vec::new();
    for _ in 0..60 {
        let status = client.create_certificate(request(&token, "no CSR", 0)).await.unwrap_err();
        ids.push(request_id(status.metadata()));
    }

    assert!(ids.iter().all(|id| house.audit(id).len() == 1));
    let lines = ids.iter().filter(|id| !logged(id).is_empty()).count();
    assert!((20..60).contains(&lines), "{lines} lines");
}
