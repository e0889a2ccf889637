//! Chains of every shape, well and badly told.

use std::fs;

use signet_identity::certificate_pem;

use super::*;
use crate::{injected::testing::Ca, vault::tests::config};

/// `[vault]` with these lines.
fn pki(lines: &str) -> PkiConfig {
    let auth = "auth.method = 'token-file'\nauth.token_file = '/none'";
    config(&format!("address = ['http://127.0.0.1:1']\n{auth}\n{lines}")).pki
}

/// What Vault says of `certificate`.
fn read(certificate: &CertificateDer<'_>, above: &[CertificateDer<'_>]) -> ReadIssuerCertificateResponse {
    ReadIssuerCertificateResponse {
        certificate: certificate_pem(certificate),
        ca_chain: above.iter().map(|one| certificate_pem(one)).collect(),
        issuer_id: "an-id".to_owned(),
        issuer_name: "a-name".to_owned(),
    }
}

#[test]
fn a_path_is_put_in_order_and_what_is_no_part_of_it_is_left_out() {
    let (root, stranger) = (Ca::root("root"), Ca::root("stranger"));
    let upper = root.below("upper");
    let lower = upper.below("lower");
    let beside = stranger.below("beside");

    let above = [&beside, &stranger, &upper, &root, &lower].map(|ca| ca.der.clone()).to_vec();
    let (path, roots) = split(&lower.der, above).unwrap();

    assert_eq!(path, [lower.der, upper.der]);
    assert_eq!(roots, [stranger.der, root.der]);
}

#[test]
fn authorities_that_have_signed_each_other_stand_in_a_path_once() {
    let (one, other) = (Ca::root("one"), Ca::root("other"));
    let [by_other, by_one] = [(&one, "one", &other), (&other, "other", &one)]
        .map(|(ca, name, by)| by.below_of(name, ca.pair(), |_| {}).der);

    let (path, roots) = split(&by_other, vec![by_one.clone(), by_other.clone()]).unwrap();

    assert_eq!((path, roots), (vec![by_other, by_one], Vec::new()));
}

#[test]
fn a_chain_has_sixteen_certificates_at_most() {
    let (root, other) = (Ca::root("root").der, Ca::root("other").der);
    split(&root, vec![other.clone(); 16]).unwrap();
    assert!(split(&root, vec![other; 17]).unwrap_err().contains("more than 16"));
}

#[test]
fn the_roots_are_those_of_the_chain_or_else_those_that_are_pinned() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("roots.pem");
    let (mesh, pinned) = (Ca::root("root").below("mesh"), Ca::root("pinned").der);
    let without_root = read(&mesh.der, &[]);
    let line = format!("roots_file = '{}'", file.display());
    let pem = certificate_pem(&pinned);

    assert!(IssuerChain::of(&without_root, &pki("")).unwrap_err().contains("set `vault.roots_file`"));
    for (case, content, roots) in [
        ("one", pem.clone(), Some(vec![pinned.clone()])),
        ("none", "no PEM".to_owned(), None),
        ("half of a second one", format!("{pem}{}", pem.split_at(200).0), None),
    ] {
        fs::write(&file, content).unwrap();
        let chain = IssuerChain::of(&without_root, &pki(&line));
        assert_eq!(chain.ok().map(|chain| chain.roots), roots, "{case}");
    }
}

#[test]
fn a_named_issuer_is_asked_by_its_id_and_a_roles_issuer_by_the_role() {
    let chain = IssuerChain::of(&read(&Ca::root("root").der, &[]), &pki("")).unwrap();

    assert_eq!(chain.path(&pki("issuer = 'a-name'")), IssuerPath::Issuer("an-id".to_owned()));
    assert_eq!(chain.path(&pki("")), IssuerPath::OfTheRole);
}
