//! All that is wrong with a certificate, by the numbers of the rules.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SanType,
};

use super::{BrokenRule, broken_rules};
use crate::test_support::now;
use crate::testing::TestAuthority;
use crate::{Expected, PrivateKey, SpiffeId, X509Svid};

const IDENTITY: &str = "spiffe://td.test/ns/a/sa/b";

#[test]
fn every_fault_of_a_leaf_is_named_and_not_the_first_alone() {
    for (name, uris, change, numbers) in [
        ("an SVID", &[IDENTITY][..], (|_| ()) as fn(&mut CertificateParams), &[][..]),
        ("no name", &[], |_| (), &["X-01", "X-05"]),
        ("two names", &[IDENTITY, IDENTITY], |_| (), &["X-01"]),
        ("a trust domain", &["spiffe://td.test"], |_| (), &["X-04"]),
        ("no SPIFFE ID", &["https://td.test/a"], |_| (), &["ID-01"]),
        ("a query", &["spiffe://td.test/a?b"], |_| (), &["ID-03"]),
        ("no usage", &[IDENTITY], |leaf| leaf.key_usages.clear(), &["X-13"]),
        (
            "one that signs, on one side only",
            &[],
            |leaf| {
                leaf.key_usages = vec![KeyUsagePurpose::KeyCertSign];
                leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            },
            &["X-16", "X-15", "X-17", "X-01", "X-05"],
        ),
        (
            "a usage that need not be understood, and the wrong one",
            &[IDENTITY],
            |leaf| {
                leaf.key_usages.clear();
                let cert_sign = vec![3, 2, 2, 4];
                leaf.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 15], cert_sign)];
            },
            &["X-13", "X-16", "X-15"],
        ),
        (
            "two critical extensions that nobody knows",
            &[IDENTITY],
            |leaf| leaf.custom_extensions = [unknown(1), unknown(2)].to_vec(),
            &["X-19", "X-19"],
        ),
    ] {
        assert_eq!(numbers_of(&leaf(uris, change)), numbers, "{name}");
    }
}

#[test]
fn a_signing_certificate_is_held_to_its_own_rules() {
    let signing = |usage| {
        move |ca: &mut CertificateParams| {
            ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            ca.key_usages = vec![usage];
        }
    };
    let (signs, does_not) =
        (signing(KeyUsagePurpose::KeyCertSign), signing(KeyUsagePurpose::DigitalSignature));
    for (name, certificate, numbers) in [
        ("one as it should be", leaf(&["spiffe://td.test"], signs), &[][..]),
        ("without a SPIFFE ID", leaf(&[], signs), &[]),
        ("that may not sign", leaf(&["spiffe://td.test"], does_not), &["X-14"]),
        ("of a workload", leaf(&[IDENTITY], signs), &["X-07"]),
        ("of two trust domains", leaf(&["spiffe://td.test", "spiffe://other"], signs), &["X-01"]),
    ] {
        assert_eq!(numbers_of(&certificate), numbers, "{name}");
    }
}

/// What a peer refuses by the rules, and what is shown to a person, are one list.
#[test]
fn whoever_breaks_no_rule_is_accepted_and_nobody_else() {
    let authority = TestAuthority::new("td.test", now());
    let key = PrivateKey::generate().unwrap();
    let identity: SpiffeId = IDENTITY.parse().unwrap();
    let expected = Expected { identity: &identity, public_key: key.public_key() };
    for change in [
        (|_| ()) as fn(&mut CertificateParams),
        |leaf| leaf.key_usages.clear(),
        |leaf| leaf.key_usages.push(KeyUsagePurpose::CrlSign),
        |leaf| leaf.key_usages = vec![KeyUsagePurpose::KeyAgreement],
        |leaf| leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        |leaf| leaf.subject_alt_names.push(uri("spiffe://td.test/other")),
        |leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
        |leaf| leaf.extended_key_usages.clear(),
    ] {
        let chain = authority.leaf(key.public_key(), &identity, now()).change(change).sign();
        let broken = broken_rules(&chain[0]).unwrap();
        let accepted = X509Svid::verify(chain, expected, &authority.bundle(), now());
        assert_eq!(accepted.is_ok(), broken.is_empty(), "{broken:?}, {accepted:?}");
    }
}

fn numbers_of(der: &[u8]) -> Vec<&'static str> {
    broken_rules(der).unwrap().iter().map(BrokenRule::number).collect()
}

fn leaf(uris: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let key = PrivateKey::generate().unwrap();
    let identity: SpiffeId = IDENTITY.parse().unwrap();
    let authority = TestAuthority::new("td.test", now());
    authority.leaf(key.public_key(), &identity, now()).uris(uris).change(change).sign()[0].to_vec()
}

fn unknown(last: u64) -> CustomExtension {
    let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, last], vec![5, 0]);
    unknown.set_criticality(true);
    unknown
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}
