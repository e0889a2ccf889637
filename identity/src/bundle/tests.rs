use super::*;
use crate::test_support::now;
use crate::testing::TestAuthority;

fn trust_domain() -> TrustDomain {
    "cluster.local".parse().unwrap()
}

fn root() -> CertificateDer<'static> {
    TestAuthority::new("cluster.local", now()).certificate().der().clone()
}

fn bundle(authorities: Vec<CertificateDer<'static>>) -> Result<TrustBundle, BundleError> {
    TrustBundle::new(trust_domain(), authorities, None)
}

#[test]
fn a_bundle_survives_pem() {
    let version = Some(BundleVersion { epoch: 7, sequence: 3 });
    let bundle = TrustBundle::new(trust_domain(), vec![root(), root()], version).unwrap();
    assert_eq!(TrustBundle::from_pem(trust_domain(), &bundle.to_pem(), version), Ok(bundle.clone()));
    assert_eq!((bundle.trust_domain(), bundle.version()), (&trust_domain(), version));
}

#[test]
fn comments_between_blocks_are_ignored() {
    let (one, other) = (root(), root());
    let block = |der: &[u8]| pem::encode("CERTIFICATE", der);
    let text = format!("# one\n{}\n# other\n{}", block(&one), block(&other));
    assert_eq!(TrustBundle::from_pem(trust_domain(), &text, None).unwrap().authorities(), [one, other]);
}

#[test]
fn what_stands_twice_is_kept_once() {
    let (one, other) = (root(), root());
    let bundle = bundle(vec![one.clone(), other.clone(), one.clone()]).unwrap();
    assert_eq!(bundle.authorities(), [one, other]);
}

#[test]
fn what_is_no_bundle_is_refused() {
    let authority = TestAuthority::new("cluster.local", now());
    let leaf = authority.leaf(authority.key().public_key(), &"spiffe://a/b".parse().unwrap(), now()).sign();
    assert_eq!(bundle(Vec::new()).unwrap_err(), BundleError::Empty);
    assert_eq!(bundle(vec![root(), leaf[0].clone()]).unwrap_err(), BundleError::NotACa { number: 2 });
    let garbage = bundle(vec![vec![0x30, 0].into()]).unwrap_err();
    assert!(matches!(garbage, BundleError::Malformed { number: 1, .. }), "{garbage:?}");
    let pem = |text: &str| TrustBundle::from_pem(trust_domain(), text, None).unwrap_err();
    assert_eq!(pem("no certificate"), BundleError::Empty);
    assert_eq!(pem("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n"), BundleError::NotPem);
}

#[test]
fn a_bundle_is_bounded() {
    let roots: Vec<_> = (0..=MAX_AUTHORITIES).map(|_| root()).collect();
    assert!(bundle(roots[1..].to_vec()).is_ok());
    assert_eq!(bundle(roots).unwrap_err(), BundleError::TooMany);
}

#[test]
fn a_state_made_anew_is_newer_than_any_change_of_the_old() {
    let version = |epoch, sequence| BundleVersion { epoch, sequence };
    assert!(version(2, 0) > version(1, 1000));
    assert!(version(1, 2) > version(1, 1));
}
