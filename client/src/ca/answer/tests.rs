//! Chain layouts and statuses, as CAs old and new send them.

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use signet_identity::MAX_AUTHORITIES;
use tonic::metadata::MetadataValue;
use tonic_types::ErrorDetails;

use super::*;

/// May stand anywhere in an answer.
fn certificate() -> String {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

fn read(elements: &[String], metadata: &MetadataMap) -> Result<Issued, AnswerFault> {
    issued(elements, metadata, "cluster.local".parse().unwrap())
}

#[test]
fn every_layout_of_the_chain_is_read() {
    let [leaf, first, second, root, old_root] = [(); 5].map(|()| certificate());
    for (name, elements, chain, roots) in [
        ("leaf and root", vec![leaf.clone(), root.clone()], 1, 1),
        (
            "an element for each intermediate",
            vec![leaf.clone(), first.clone(), second.clone(), root.clone()],
            3,
            1,
        ),
        (
            "intermediates in one element, as in 1.1",
            vec![leaf.clone(), first.clone() + &second, root.clone()],
            3,
            1,
        ),
        ("leaf and intermediate in one element", vec![leaf.clone() + &first, root.clone()], 2, 1),
        ("two roots", vec![leaf.clone(), root.clone() + &old_root], 1, 2),
    ] {
        let issued = read(&elements, &MetadataMap::new()).unwrap();
        assert_eq!((issued.chain.len(), issued.bundle.authorities().len()), (chain, roots), "{name}");
        assert_eq!(issued.chain[0], parse(&leaf).unwrap()[0], "{name}: the leaf comes first");
    }
}

fn roots(pem: &[String]) -> GetTrustBundleResponse {
    let x509_authorities = pem.iter().map(|pem| parse(pem).unwrap()[0].to_vec().into()).collect();
    GetTrustBundleResponse {
        trust_domain: "cluster.local".to_owned(),
        x509_authorities,
        epoch: 7,
        sequence: 3,
    }
}

#[test]
fn roots_that_come_alone_are_those_of_the_answer_and_as_new_as_it_says() {
    let (wanted, pem) = ("cluster.local".parse().unwrap(), [(); 2].map(|()| certificate()));
    for (name, epoch, version) in [
        ("counted", 7, Some(BundleVersion { epoch: 7, sequence: 3 })),
        ("by a CA that does not count", 0, None),
    ] {
        let told = bundle(GetTrustBundleResponse { epoch, ..roots(&pem) }, &wanted).unwrap();
        assert_eq!(told.authorities(), pem.clone().map(|pem| parse(&pem).unwrap().remove(0)), "{name}");
        assert_eq!(told.version(), version, "{name}");
    }
}

#[test]
fn roots_that_are_none_or_somebody_elses_are_refused() {
    let leaf = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    let many: Vec<_> = (0..=MAX_AUTHORITIES).map(|_| certificate()).collect();
    let other = |trust_domain: &str| GetTrustBundleResponse {
        trust_domain: trust_domain.to_owned(),
        ..roots(&many[..1])
    };
    for (name, answer, told) in [
        ("none", roots(&[]), "no certificate in it"),
        ("one too many", roots(&many), "more than 64"),
        ("a leaf", roots(&[leaf]), "not a CA's"),
        (
            "no certificate",
            GetTrustBundleResponse { x509_authorities: vec!["root".into()], ..other("cluster.local") },
            "malformed",
        ),
        ("another trust domain", other("mesh.example"), "\"mesh.example\", and cluster.local"),
        ("no trust domain", other(""), "\"\", and cluster.local"),
        ("a long and loud one", other(&"\n".repeat(1000)), &format!("\"{}\", and", "\\n".repeat(256))),
    ] {
        let fault = bundle(answer, &"cluster.local".parse().unwrap()).unwrap_err();
        let shown = signet_runtime::telemetry::chain(&fault).to_string();
        assert!(shown.contains(told), "{name}: {shown}");
    }
    assert!(bundle(roots(&many[1..]), &"cluster.local".parse().unwrap()).is_ok(), "as many as there may be");
}

#[test]
fn what_is_no_chain_is_refused() {
    let whole = certificate();
    let half = whole.split_at(whole.len() / 2).0.to_owned();
    let long = vec![whole.clone(); MAX_ELEMENTS];
    for (name, elements) in [
        ("nothing", vec![]),
        ("a leaf without roots", vec![whole.clone()]),
        ("too many elements", vec![whole.clone(); MAX_ELEMENTS + 1]),
        ("too many certificates in few elements", vec![long.concat(), whole.clone(), whole.clone()]),
        ("an empty element", vec![whole.clone(), String::new(), whole.clone()]),
        ("half a leaf", vec![half.clone(), whole.clone()]),
        ("half an intermediate", vec![whole.clone(), half.clone(), whole.clone()]),
        ("half a root", vec![whole.clone(), half]),
        ("no roots", vec![whole, String::new()]),
    ] {
        assert!(read(&elements, &MetadataMap::new()).is_err(), "{name}");
    }
}

#[test]
fn a_bundle_version_is_two_numbers_or_none() {
    let elements = [certificate(), certificate()];
    for (name, epoch, sequence, version) in [
        ("both", Some("1700000000"), Some("3"), Some(BundleVersion { epoch: 1_700_000_000, sequence: 3 })),
        ("none", None, None, None),
        ("no sequence", Some("1"), None, None),
        ("no epoch", None, Some("1"), None),
        ("no number", Some("1"), Some("three"), None),
        ("a negative number", Some("-1"), Some("1"), None),
    ] {
        let mut metadata = MetadataMap::new();
        for (key, value) in [(BUNDLE_EPOCH, epoch), (BUNDLE_SEQUENCE, sequence)] {
            if let Some(value) = value {
                metadata.insert(key, MetadataValue::from_static(value));
            }
        }
        assert_eq!(read(&elements, &metadata).unwrap().bundle.version(), version, "{name}");
    }
}

#[test]
fn each_status_falls_into_the_class_of_what_to_do() {
    for (code, class) in [
        (Code::Unauthenticated, "TokenRefused"),
        (Code::PermissionDenied, "Denied"),
        (Code::InvalidArgument, "Denied"),
        (Code::ResourceExhausted, "Overloaded"),
        (Code::Unavailable, "Unavailable"),
        (Code::Internal, "Unavailable"),
        (Code::DeadlineExceeded, "Unavailable"),
        (Code::Unimplemented, "Unavailable"),
        (Code::Unknown, "Unavailable"),
    ] {
        let error = refused(&Status::new(code, "no"));
        assert!(format!("{error:?}").starts_with(class), "{code:?}: {error:?}");
    }
}

#[test]
fn a_refusal_keeps_the_request_id_and_when_to_ask_again() {
    let asked = |seconds| {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(seconds)));
        let mut status = Status::with_error_details(Code::ResourceExhausted, "busy", details);
        status.metadata_mut().insert(REQUEST_ID, MetadataValue::from_static("r-7"));
        refused(&status)
    };
    assert_eq!(asked(3).retry_after(), Some(Duration::from_secs(3)));
    assert_eq!(asked(3).request_id(), Some("r-7"));
    assert_eq!(asked(1 << 40).retry_after(), Some(LONGEST_RETRY_AFTER), "no CA silences an agent for good");
}

#[test]
fn the_cas_words_are_cut_to_a_log_line() {
    let error = refused(&Status::internal("é".repeat(100_000)));
    assert!(error.refusal().unwrap().message.chars().count() == MAX_MESSAGE_CHARACTERS);
}
