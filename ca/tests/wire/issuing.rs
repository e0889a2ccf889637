//! What a caller gets who may have it.

use std::{io::Write, process::Command};

use signet_identity::{BundleVersion, CertificateRequest, PrivateKey};
use signet_proto::metadata::{BUNDLE_EPOCH, BUNDLE_SEQUENCE};

use crate::{
    csr::{self, WEB},
    house::{House, request, request_id},
};

#[tokio::test]
async fn a_workload_gets_the_certificate_of_its_own_identity() {
    let house = House::open().await;
    let key = PrivateKey::generate().unwrap();
    let csr = CertificateRequest::pem(&key, &WEB.parse().unwrap()).unwrap();

    let issued = house.ask(&csr).await.unwrap();

    let chain = &issued.get_ref().cert_chain;
    assert_eq!(chain.len(), 2, "the leaf, and the roots in the last element");
    assert_eq!(chain.last().unwrap(), &house.root());
    assert_openssl_accepts("P-256", chain);
    let text = openssl_text(&chain[0]);
    assert!(text.contains(&format!("URI:{WEB}\n")), "{text}");
}

#[tokio::test]
async fn an_answer_names_its_request_and_the_version_of_the_bundle() {
    let house = House::open().await;

    let first = house.ask(&csr::with_uris(&[WEB])).await.unwrap();
    let second = house.ask(&csr::with_uris(&[WEB])).await.unwrap();

    let version = |answer: &tonic::Response<_>| {
        let number = |name| answer.metadata().get(name).unwrap().to_str().unwrap().parse().unwrap();
        BundleVersion { epoch: number(BUNDLE_EPOCH), sequence: number(BUNDLE_SEQUENCE) }
    };
    let state = std::fs::read_to_string(house.path("state/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    for (name, answer) in [("first", &first), ("second", &second)] {
        let BundleVersion { epoch, sequence } = version(answer);
        assert_eq!(
            (Some(epoch), Some(sequence)),
            (state["epoch"].as_u64(), state["sequence"].as_u64()),
            "{name}"
        );
    }
    assert_ne!(request_id(first.metadata()), request_id(second.metadata()));
}

#[tokio::test]
async fn the_audit_tells_who_got_what_before_and_after_signing() {
    let house = House::open().await;

    let issued = house.ask(&csr::with_uris(&[WEB])).await.unwrap();

    let audit = house.audit(&request_id(issued.metadata()));
    let events: Vec<_> = audit.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["signing", "issued"]);
    assert_eq!(audit[0]["identity"], WEB);
    assert_eq!(audit[0]["caller"]["subject"], "system:serviceaccount:default:web");
    assert_eq!(audit[0]["caller"]["pod"], "web-0");
    assert!(audit[0]["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{}", audit[0]);
    let serial = audit[1]["serial"].as_str().unwrap().to_uppercase();
    assert!(openssl(&["x509", "-noout", "-serial"], &issued.get_ref().cert_chain[0]).contains(&serial));
}

#[tokio::test]
async fn a_lifetime_is_granted_as_asked_within_the_policy() {
    let house = House::with("[issuing]\ndefault_lifetime = '2h'\nmax_lifetime = '4h'").await;
    let mut client = house.client().await;
    for (asked, hours) in [
        (0, 2.0),
        (-1, 2.0),
        (i64::MIN, 2.0),
        (3600, 1.0),
        (4 * 3600, 4.0),
        (4 * 3600 + 1, 4.0),
        (i64::MAX, 4.0),
    ] {
        let request = request(&house.token(), &csr::with_uris(&[WEB]), asked);
        let issued = client.create_certificate(request).await.unwrap();

        let end = validity_end(&issued.get_ref().cert_chain[0]);
        let granted = (end - crate::token::now() as f64) / 3600.0;
        assert!((granted - hours).abs() < 0.01, "asked for {asked} s, got {granted} h");
    }
}

/// Seconds since 1970.
fn validity_end(leaf: &str) -> f64 {
    let line = openssl(&["x509", "-noout", "-enddate", "-dateopt", "iso_8601"], leaf);
    let date = line.trim().strip_prefix("notAfter=").unwrap().replace(' ', "T");
    let end = humantime::parse_rfc3339(&date).unwrap();
    end.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Its names, as in RFC 4514.
pub(crate) fn openssl_subject(certificate: &str) -> String {
    let line = openssl(&["x509", "-noout", "-subject", "-nameopt", "RFC2253"], certificate);
    line.trim().strip_prefix("subject=").unwrap().trim().to_owned()
}

pub(crate) fn openssl_text(certificate: &str) -> String {
    openssl(&["x509", "-noout", "-text"], certificate)
}

/// `openssl verify -x509_strict` of the leaf, with all but the last element as untrusted and the last as
/// trusted.
pub(crate) fn assert_openssl_accepts(case: &str, chain: &[String]) {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (roots, rest) = chain.split_last().unwrap();
    let (leaf, intermediates) = rest.split_first().unwrap();
    let roots = write("roots.pem", roots);
    let mut arguments = vec!["verify", "-x509_strict", "-CAfile", &roots];
    let intermediates = write("intermediates.pem", &intermediates.concat());
    if rest.len() > 1 {
        arguments.extend(["-untrusted", &intermediates]);
    }
    let leaf = write("leaf.pem", leaf);
    arguments.push(&leaf);
    assert!(openssl(&arguments, "").contains("OK"), "{case}");
}

fn openssl(arguments: &[&str], input: &str) -> String {
    let mut input_file = tempfile::tempfile().unwrap();
    input_file.write_all(input.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut input_file).unwrap();
    let output = Command::new("openssl").args(arguments).stdin(input_file).output();
    let output = output.expect("the tests need the openssl command");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}
