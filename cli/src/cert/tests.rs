//! Certificates as they are shown and judged.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use serde_json::Value;
use signet_identity::testing::TestAuthority;
use signet_identity::{PrivateKey, SpiffeId, certificate_pem};

use super::inspect::Album;
use super::*;
use crate::input::{Item, Kind};
use crate::output::Format;

#[test]
fn a_leaf_is_shown_with_all_that_a_peer_looks_at() {
    let mesh = Mesh::new();
    let shown = Album::of(&[item(&mesh.chain()[0])], now()).to_string();
    for line in [
        "URI:spiffe://td.test/ns/shop/sa/orders",
        "  subject      none",
        "  valid        2027-01-15T07:59:00Z to 2027-01-15T09:00:00Z, for another 1h",
        "  names        URI:spiffe://td.test/ns/shop/sa/orders (critical)",
        "  usage        digitalSignature (critical)",
        "  purposes     serverAuth, clientAuth",
        "  constraints  CA:FALSE (critical)",
        "✓ keeps every rule of X.509-SVID for a leaf",
    ] {
        assert!(plain(&shown).lines().any(|shown| shown.starts_with(line)), "{line:?} is not in:\n{shown}");
    }
}

#[test]
fn each_rule_that_is_broken_has_a_line_and_is_told_to_scripts() {
    let mesh = Mesh::new();
    let odd =
        mesh.authority.leaf(mesh.key.public_key(), &mesh.id, now()).uris(&["https://a", "spiffe://b"]).sign();
    let album = Album::of(&[item(&odd[0])], now());
    assert!(
        plain(&album.to_string())
            .contains("✗ X-01     the certificate has 2 URI SANs, an SVID exactly one\n")
    );
    let json = serde_json::to_value(&album).unwrap();
    assert_eq!(json["held"], false);
    assert_eq!(json["certificates"][0]["deviations"][0]["rule"], "X-01");
}

#[test]
fn a_certificate_that_cannot_be_read_is_said_to_be_and_does_not_hide_the_others() {
    let mesh = Mesh::new();
    let json = serde_json::to_value(Album::of(&[item(b"0\x03\x02\x01\x01"), item(&mesh.chain()[0])], now()))
        .unwrap();
    assert_eq!(json["certificates"][0]["deviations"][0]["rule"], "RFC 5280");
    assert_eq!(json["certificates"][1]["held"], true);
}

/// docs/command-line.md promises these fields.
#[test]
fn the_json_of_a_certificate_has_the_fields_that_are_documented() {
    let mesh = Mesh::new();
    let json = serde_json::to_value(Album::of(&[item(&mesh.chain()[0])], now())).unwrap();
    let Value::Object(certificate) = &json["certificates"][0] else { panic!("{json}") };
    let documented = include_str!("../../../docs/command-line.md");
    for field in certificate.keys() {
        assert!(
            documented.contains(&format!("`{field}`")),
            "docs/command-line.md does not say what {field} is"
        );
    }
    assert_eq!(json["certificates"][0]["role"], "leaf");
    assert_eq!(json["certificates"][0]["standing"], "valid");
}

#[test]
fn a_chain_is_accepted_as_a_peer_would() {
    let mesh = Mesh::new();
    for arguments in [&[][..], &["--id", ID], &["--trust-domain", "td.test"], &["--key", "key.pem"]] {
        let (outcome, json) = mesh.verify("chain.pem", "root.pem", arguments);
        assert_eq!(outcome, Outcome::Held, "{arguments:?}: {json}");
        let roles: Vec<_> =
            json["path"].as_array().unwrap().iter().map(|step| step["role"].clone()).collect();
        assert_eq!(roles, ["leaf", "intermediate", "root"], "{json}");
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn what_breaks_is_named_with_its_place_and_its_remedy() {
    let mesh = Mesh::new();
    for (name, chain, bundle, arguments, check, step) in [
        (
            "another identity",
            "chain.pem",
            "root.pem",
            &["--id", "spiffe://td.test/x"][..],
            "where spiffe://td.test/x was expected",
            "",
        ),
        (
            "another trust domain",
            "chain.pem",
            "root.pem",
            &["--trust-domain", "else"],
            "the bundle is that of else",
            "",
        ),
        ("another key", "chain.pem", "root.pem", &["--key", "other-key.pem"], "not that of the leaf", ""),
        (
            "no intermediate",
            "leaf.pem",
            "root.pem",
            &[],
            "does not lead to a valid authority",
            "is an intermediate missing?",
        ),
        (
            "another root",
            "chain.pem",
            "other.pem",
            &[],
            "does not lead to a valid authority",
            "is no authority of the bundle",
        ),
        (
            "after its end",
            "chain.pem",
            "root.pem",
            &["--at", "2027-01-15T10:00:00Z"],
            "",
            "it expired 1h before",
        ),
        (
            "before its time",
            "chain.pem",
            "root.pem",
            &["--at", "2027-01-15T07:00:00Z"],
            "",
            "it is not valid yet",
        ),
        ("the wrong order", "reversed.pem", "root.pem", &[], "where the leaf should (X-10)", ""),
    ] {
        let (outcome, json) = mesh.verify(chain, bundle, arguments);
        assert_eq!(outcome, Outcome::NotHeld, "{name}");
        let broken = |list: &str, said: &str| {
            let list = json[list].as_array().unwrap().iter().filter(|one| one["held"] == false);
            list.filter_map(|one| one["statement"].as_str()).any(|statement| statement.contains(said))
        };
        assert!(check.is_empty() || broken("checks", check), "{name}: {json:#}");
        assert!(step.is_empty() || broken("path", step), "{name}: {json:#}");
    }
}

#[test]
fn a_chain_longer_than_peers_follow_is_asked_about() {
    let mesh = Mesh::new();
    let leaf = std::fs::read_to_string(mesh.path("leaf.pem")).unwrap();
    std::fs::write(mesh.path("long.pem"), leaf.repeat(9)).unwrap();
    let error = mesh.try_verify("long.pem", "root.pem", &[]).unwrap_err();
    assert!(
        error.to_string().ends_with("has 9 certificates, and peers follow 8: is it a bundle?"),
        "{error}"
    );
}

const ID: &str = "spiffe://td.test/ns/shop/sa/orders";

/// 2027-01-15T08:00:00Z.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

struct Mesh {
    authority: TestAuthority,
    key: PrivateKey,
    id: SpiffeId,
    directory: tempfile::TempDir,
}

impl Mesh {
    /// A root, an intermediate, and a leaf with its key, in files.
    fn new() -> Self {
        let root = TestAuthority::new("td.test", now());
        let authority = root.intermediate(now());
        let (key, id) = (PrivateKey::generate().unwrap(), ID.parse().unwrap());
        let mesh = Self { authority, key, id, directory: tempfile::tempdir().unwrap() };
        let pem = mesh.chain().iter().map(|one| certificate_pem(one)).collect::<Vec<_>>();
        let other = TestAuthority::new("td.test", now()).certificate().to_pem();
        for (file, content) in [
            ("chain.pem", pem.concat()),
            ("leaf.pem", pem[0].clone()),
            ("reversed.pem", pem.iter().rev().cloned().collect()),
            ("root.pem", root.certificate().to_pem()),
            ("other.pem", other),
            ("key.pem", mesh.key.to_pkcs8_pem().to_string()),
            ("other-key.pem", PrivateKey::generate().unwrap().to_pkcs8_pem().to_string()),
        ] {
            std::fs::write(mesh.path(file), content).unwrap();
        }
        mesh
    }

    fn chain(&self) -> Vec<rustls_pki_types::CertificateDer<'static>> {
        self.authority.leaf(self.key.public_key(), &self.id, now()).sign()
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.directory.path().join(file)
    }

    fn verify(&self, chain: &str, bundle: &str, arguments: &[&str]) -> (Outcome, Value) {
        self.try_verify(chain, bundle, arguments).unwrap()
    }

    /// At the time of the mesh, unless it is said otherwise.
    fn try_verify(&self, chain: &str, bundle: &str, arguments: &[&str]) -> Result<(Outcome, Value)> {
        #[derive(Parser)]
        struct Line {
            #[command(subcommand)]
            command: CertCommand,
        }
        let path = |file: &str| self.path(file).to_str().unwrap().to_owned();
        let mut line =
            vec!["cert".to_owned(), "verify".to_owned(), path(chain), "--bundle".to_owned(), path(bundle)];
        line.extend(
            arguments.iter().map(|word| if word.ends_with(".pem") { path(word) } else { (*word).to_owned() }),
        );
        if !arguments.contains(&"--at") {
            line.extend(["--at".to_owned(), "2027-01-15T08:00:00Z".to_owned()]);
        }
        let (mut output, mut notes) = (vec![], vec![]);
        let mut console = Console::into_memory(Format::Json, &mut output, &mut notes);
        let outcome = Line::try_parse_from(line)?.command.run(&mut console)?;
        drop(console);
        Ok((outcome, serde_json::from_slice(&output)?))
    }
}

fn item(der: &[u8]) -> Item {
    Item { kind: Kind::Certificate, der: der.to_vec(), document: "it".to_owned(), origin: "it".to_owned() }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
