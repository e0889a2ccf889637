//! CSRs as they are made, and as a CA reads them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::{Parser, ValueEnum};
use serde_json::Value;
use signet_identity::{Csr, CsrError, KeyAlgorithm};

use super::broken::Break;
use super::inspect::Portrait;
use super::key::{Key, Kind};
use super::*;
use crate::input::{self, Item};
use crate::outcome::Usage;
use crate::output::Format;

const ID: &str = "spiffe://td.test/ns/shop/sa/orders";

#[test]
fn a_csr_is_one_that_a_ca_takes_for_keys_of_every_kind() {
    for (kind, algorithm) in [
        ("p256", KeyAlgorithm::EcdsaP256),
        ("p384", KeyAlgorithm::EcdsaP384),
        ("ed25519", KeyAlgorithm::Ed25519),
        ("rsa-2048", KeyAlgorithm::Rsa),
    ] {
        let (_, said) = run(&["new", ID, "--key-algorithm", kind]).unwrap();
        let csr = Csr::from_pem(&said.output).unwrap();
        assert_eq!(csr.public_key().algorithm(), algorithm);
        assert_eq!((csr.requested_uris(), csr.other_requested_names().len()), (&[ID.to_owned()][..], 0));
        assert!(said.notes.contains("kept nowhere; keep the next one with --key-file"), "{}", said.notes);
    }
}

#[test]
fn a_key_is_kept_private_and_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (key, csr) = (file("key.pem"), file("csr.pem"));
    let (_, said) = run(&["new", ID, "--key-file", &key, "--csr-file", &csr]).unwrap();
    assert_eq!(said.output, "", "the CSR is in its file");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let (_, again) = run(&["new", ID, "--key", &key]).unwrap();
    let spki = |pem: &str| Csr::from_pem(pem).unwrap().public_key().spki_der().to_vec();
    assert_eq!(spki(&again.output), spki(&std::fs::read_to_string(&csr).unwrap()));
}

#[test]
fn nothing_is_overwritten_unasked() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key.pem");
    std::fs::write(&file, "mine").unwrap();
    let line = ["new", ID, "--key-file", file.to_str().unwrap()];
    let error = run(&line).unwrap_err();
    assert!(error.is::<Usage>() && error.to_string().contains("overwrite it with --force"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    run(&[&line[..], &["--force"]].concat()).unwrap();
    assert_ne!(std::fs::read_to_string(&file).unwrap(), "mine");
}

/// The help says what a correct CA answers, so ours must.
#[test]
fn each_way_to_break_a_csr_gets_the_answer_that_its_help_promises() {
    // Whose identity it is, only the token tells.
    for broken in Break::value_variants().iter().filter(|broken| **broken != Break::OtherIdentity) {
        let key = broken.key(Kind::P256).unwrap();
        let der = broken.csr(ID, &key).unwrap();
        let answer = Portrait::of(&item(&der)).answer();
        let promised = ["INVALID_ARGUMENT", "PERMISSION_DENIED"];
        let promised = promised.into_iter().find(|status| broken.expected().contains(status)).unwrap_or("OK");
        assert_eq!(answer, promised, "{broken:?}");
    }
}

/// A good key would make a CSR that is right, and is called wrong.
#[test]
fn a_weak_key_is_not_one_that_was_given() {
    let error = run(&["new", ID, "--key", "key.pem", "--break", "weak-key"]).unwrap_err();
    assert!(error.is::<Usage>() && error.to_string().contains("leave --key out"), "{error}");
}

#[test]
fn what_cannot_be_broken_in_that_way_is_not_called_wrong() {
    for (id, broken) in [("spiffe://10.0.0.1/a", "uppercase-trust-domain"), ("spiffe://td.test", "no-path")] {
        let error = run(&["new", id, "--break", broken]).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("nothing in"), "{broken}: {error}");
    }
}

#[test]
fn what_is_malformed_is_refused_for_the_fault_that_was_made() {
    for (broken, is_meant) in [
        (Break::Signature, (|error| matches!(error, CsrError::NotPossessed(_))) as fn(&CsrError) -> bool),
        (Break::WrongKey, |error| matches!(error, CsrError::NotPossessed(_))),
        (Break::WeakKey, |error| matches!(error, CsrError::Key(_))),
        (Break::WrongVersion, |error| matches!(error, CsrError::Malformed(_))),
        (Break::TrailingBytes, |error| matches!(error, CsrError::Malformed(_))),
        (Break::DuplicateExtension, |error| matches!(error, CsrError::Duplicate(_))),
        (Break::Huge, |error| matches!(error, CsrError::TooLong)),
    ] {
        let der = broken.csr(ID, &broken.key(Kind::P256).unwrap()).unwrap();
        let error = Csr::from_der(&der).unwrap_err();
        assert!(is_meant(&error), "{broken:?}: {error}");
    }
}

#[test]
fn names_are_wrong_in_the_way_that_was_asked_for() {
    for (broken, names) in [
        (Break::NoSan, &[][..]),
        (Break::TwoUris, &[ID, "spiffe://td.test/ns/shop/sa/orders-too"]),
        (Break::OtherIdentity, &["spiffe://td.test/ns/shop/sa/orders-not"]),
        (Break::NotSpiffe, &["https://td.test/ns/shop/sa/orders"]),
        (Break::NoPath, &["spiffe://td.test"]),
        (Break::UppercaseTrustDomain, &["spiffe://TD.TEST/ns/shop/sa/orders"]),
        (Break::WithQuery, &["spiffe://td.test/ns/shop/sa/orders?a=b"]),
        (Break::PercentEncoding, &["spiffe://td.test/ns/shop/sa/order%73"]),
        (Break::DnsOnly, &[]),
        (Break::CaTrue, &[ID]),
    ] {
        let der = broken.csr(ID, &Key::new(Kind::P256).unwrap()).unwrap();
        assert_eq!(Csr::from_der(&der).unwrap().requested_uris(), names, "{broken:?}");
    }
}

#[test]
fn a_csr_is_shown_with_every_deviation_and_the_answer_it_gets() {
    for (broken, lines) in [
        (
            "two-uris",
            &[
                "✗ X-01     it asks for 2 URI names, and an SVID has exactly one",
                "  signet-ca answers PERMISSION_DENIED",
            ][..],
        ),
        (
            "with-query",
            &[
                "✗ ID-03    \"spiffe://td.test/ns/shop/sa/orders?a=b\" is no SPIFFE ID: a SPIFFE ID has no query",
            ],
        ),
        (
            "wrong-key",
            &[
                "  signed by    ECDSA with SHA-256, and not proven to be that key's",
                "  signet-ca answers INVALID_ARGUMENT",
            ],
        ),
        ("dns-beside", &["✗          it asks for DNS:orders.example, and signet-ca grants no other names"]),
        ("ca-true", &["  constraints  CA:TRUE (critical)", "✓ signet-ca issues it"]),
    ] {
        let (_, made) = run(&["new", ID, "--break", broken]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("csr.pem");
        std::fs::write(&file, made.output).unwrap();
        let (outcome, shown) = inspect(&file, Format::Text);
        assert_eq!(outcome, Outcome::from(broken == "ca-true"), "{broken}");
        for line in lines {
            assert!(shown.lines().any(|shown| shown.starts_with(line)), "{line:?} is not in:\n{shown}");
        }
    }
}

#[test]
fn a_csr_that_nobody_can_read_is_still_judged() {
    let portrait = Portrait::of(&item(b"0\x03\x02\x01\x01"));
    assert_eq!(portrait.answer(), "INVALID_ARGUMENT");
}

/// docs/command-line.md promises these fields.
#[test]
fn the_json_has_the_fields_that_are_documented() {
    let documented = include_str!("../../../docs/command-line.md");
    let (_, made) = run_as(&["new", ID, "--break", "no-san"], Format::Json).unwrap();
    let made: Value = serde_json::from_str(&made.output).unwrap();
    let shown = serde_json::to_value(Portrait::of(&item(
        &Break::TwoUris.csr(ID, &Key::new(Kind::P256).unwrap()).unwrap(),
    )))
    .unwrap();
    for field in made.as_object().unwrap().keys().chain(shown.as_object().unwrap().keys()) {
        assert!(
            documented.contains(&format!("`{field}`")),
            "docs/command-line.md does not say what {field} is"
        );
    }
    assert_eq!((&made["spiffe_id"], &shown["held"]), (&Value::from(ID), &Value::from(false)));
}

#[derive(Debug)]
struct Said {
    output: String,
    notes: String,
}

fn run(line: &[&str]) -> Result<(Outcome, Said)> {
    run_as(line, Format::Text)
}

fn run_as(line: &[&str], format: Format) -> Result<(Outcome, Said)> {
    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: CsrCommand,
    }
    let (mut output, mut notes) = (vec![], vec![]);
    let mut console = Console::into_memory(format, &mut output, &mut notes);
    let outcome = Line::try_parse_from(["csr"].iter().chain(line))?.command.run(&mut console)?;
    drop(console);
    Ok((outcome, Said { output: String::from_utf8(output)?, notes: String::from_utf8(notes)? }))
}

fn inspect(file: &Path, format: Format) -> (Outcome, String) {
    let (outcome, said) = run_as(&["inspect", file.to_str().unwrap()], format).unwrap();
    (outcome, said.output)
}

fn item(der: &[u8]) -> Item {
    Item { kind: input::Kind::Request, der: der.to_vec(), document: "it".to_owned(), origin: "it".to_owned() }
}
