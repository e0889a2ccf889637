//! An intermediate that another authority has signed as it was asked to, or otherwise.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyUsagePurpose, SanType};

use super::*;
use crate::testing::TestAuthority;

const HOUR: Duration = Duration::from_secs(3600);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// What is said of an intermediate that differs by `change` from one that is as it was asked for.
fn judged(change: impl FnOnce(&mut CertificateParams)) -> Result<(), IntermediateFault> {
    let intermediate = TestAuthority::new("cluster.local", now()).intermediate_with(now(), |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        change(params);
    });
    let trust_domain = "cluster.local".parse().unwrap();
    intermediate.certificate().judge_intermediate(intermediate.key(), &trust_domain, now())
}

fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

#[test]
fn an_intermediate_is_asked_for_and_taken_if_it_is_that() {
    let key = PrivateKey::generate().unwrap();
    let pem = IntermediateRequest::pem(&key, &"cluster.local".parse().unwrap()).unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----"), "{pem}");

    assert_eq!(judged(|_| {}), Ok(()));
}

#[test]
fn an_intermediate_for_another_key_is_refused() {
    let intermediate = TestAuthority::new("cluster.local", now()).intermediate(now());
    let (key, trust_domain) = (PrivateKey::generate().unwrap(), "cluster.local".parse().unwrap());
    let refused = intermediate.certificate().judge_intermediate(&key, &trust_domain, now());
    assert_eq!(refused, Err(IntermediateFault::Key));
}

#[test]
fn an_intermediate_with_other_names_is_refused_and_they_are_told() {
    let (ours, other) = ("spiffe://cluster.local", "spiffe://other.example");
    for (case, uris) in
        [("of another trust domain", vec![other]), ("none", vec![]), ("a second one", vec![ours, other])]
    {
        let refused = judged(|params| params.subject_alt_names = uris.iter().map(|one| uri(one)).collect());
        let Err(IntermediateFault::Uris { found }) = refused else { panic!("{case}: {refused:?}") };
        assert_eq!(found.len(), uris.len(), "{case}");
    }
    let dns = SanType::DnsName("signet.test".try_into().unwrap());
    let refused = judged(|params| params.subject_alt_names.push(dns));
    assert_eq!(refused, Err(IntermediateFault::OtherNames { found: vec!["DNS:signet.test".to_owned()] }));
    assert_eq!(judged(|params| params.distinguished_name.push(DnType::CommonName, "any")), Ok(()));
}

#[test]
fn an_intermediate_that_may_do_more_than_sign_leaves_is_refused() {
    for (length, found) in
        [(BasicConstraints::Unconstrained, None), (BasicConstraints::Constrained(1), Some(1))]
    {
        let refused = judged(|params| params.is_ca = IsCa::Ca(length));
        assert_eq!(refused, Err(IntermediateFault::PathLength { found }));
    }
    for usage in [
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::ContentCommitment,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::DataEncipherment,
        KeyUsagePurpose::KeyAgreement,
    ] {
        let refused = judged(|params| params.key_usages.push(usage));
        assert_eq!(refused, Err(IntermediateFault::Usage), "{usage:?}");
    }
}

#[test]
fn an_intermediate_is_valid_now() {
    for (from, to, outcome) in [
        (now(), now(), Ok(())),
        (now() + HOUR, now() + 2 * HOUR, Err(IntermediateFault::NotValid)),
        (now() - 2 * HOUR, now() - HOUR, Err(IntermediateFault::NotValid)),
    ] {
        let judged = judged(|params| (params.not_before, params.not_after) = (from.into(), to.into()));
        assert_eq!(judged, outcome);
    }
}
