//! The rules of the workspace that no compiler knows: which crate may name which, and that the map of the code
//! points at places that exist. Reads the manifests and `ARCHITECTURE.md`; runs nothing.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each crate of ours and what it may name. Arrows point down only; what a crate reaches through another, it may
/// name itself. What stands above everything is not listed.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("signet-identity", &[]),
    ("signet-proto", &[]),
    ("signet-runtime", &["signet-identity"]),
    ("signet-backends", &["signet-runtime", "signet-identity"]),
    ("signet-client", &["signet-runtime", "signet-proto", "signet-identity"]),
    ("signet-ca", &["signet-backends", "signet-runtime", "signet-proto", "signet-identity"]),
    (
        "signet-node-agent",
        &["signet-client", "signet-backends", "signet-runtime", "signet-proto", "signet-identity"],
    ),
    ("signet", &["signet-client", "signet-runtime", "signet-proto", "signet-identity"]),
];

/// Stands above everything, the bench in it too: nothing may name it.
const SUMMIT: &str = "signet-tests";

#[test]
fn arrows_between_crates_point_down() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_NAME.iter().copied().collect();
    let mut faults = Vec::new();
    for manifest in Manifest::all().iter().filter(|manifest| manifest.name != SUMMIT) {
        let Some(allowed) = allowed.get(manifest.name.as_str()) else {
            faults.push(format!("{} is in no row of this test: say what it may name", manifest.name));
            continue;
        };
        let ours = manifest.names.iter().filter(|name| name.starts_with("signet"));
        for name in ours.filter(|name| !allowed.contains(&name.as_str()) && **name != manifest.name) {
            faults.push(format!("{} names {name}", manifest.name));
        }
    }
    assert!(faults.is_empty(), "arrows that the architecture does not allow:\n  {}", faults.join("\n  "));
}

/// It is not constant-time. The command, the tests and the bench make keys by it that no process of ours serves with.
#[test]
fn the_rsa_crate_stays_out_of_the_two_processes() {
    let manifests = Manifest::all();
    let users = manifests.iter().filter(|manifest| manifest.names.contains("rsa"));
    let users: Vec<_> = users.map(|user| user.name.as_str()).collect();
    assert!(users.iter().all(|name| ["signet", SUMMIT].contains(name)), "{users:?} use the rsa crate");
}

#[test]
fn every_crate_takes_its_lints_from_the_workspace() {
    for manifest in Manifest::all() {
        assert!(manifest.workspace_lints, "{} lacks `[lints] workspace = true`", manifest.name);
    }
}

#[test]
fn the_paths_named_in_the_architecture_exist() {
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let named: BTreeSet<_> = code_spans(&document).filter(|span| looks_like_a_path(span)).collect();
    assert!(!named.is_empty(), "ARCHITECTURE.md names no path at all");
    let missing: Vec<_> = named.into_iter().filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names paths that do not exist: {missing:?}");
}

#[test]
fn a_path_is_told_from_other_code() {
    for (span, is_path) in [
        ("ca/src/main.rs", true),
        ("identity/", true),
        ("no-such-crate/src/lib.rs", true),
        ("main.rs", false),
        (".ci/run", true),
        ("spiffe://cluster.local/ns/a/sa/b", false),
        ("/run/signet/agent.sock", false),
        ("{ca, cli}/src", false),
        ("signet_identity::approve", false),
        ("application/grpc", false),
    ] {
        assert_eq!(looks_like_a_path(span), is_path, "{span}");
    }
}

/// What this test needs of a `Cargo.toml`.
struct Manifest {
    name: String,
    /// Every dependency of every kind: normal, build, development, and those of one target only.
    names: BTreeSet<String>,
    workspace_lints: bool,
}

impl Manifest {
    /// Those of all members of the workspace.
    fn all() -> Vec<Self> {
        let workspace = read(&root().join("Cargo.toml"));
        let members = workspace["workspace"]["members"].as_array().unwrap();
        assert!(members.len() > 5, "the workspace has lost its members");
        members.iter().map(|member| Self::of(&root().join(member.as_str().unwrap()))).collect()
    }

    fn of(package: &Path) -> Self {
        let manifest = read(&package.join("Cargo.toml"));
        let targets = manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten();
        let tables = std::iter::once(&manifest).chain(targets.map(|(_, target)| target));
        let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
        let dependencies = tables.flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)));
        Self {
            name: manifest["package"]["name"].as_str().unwrap().to_owned(),
            names: dependencies.flat_map(|table| table.as_table().unwrap().keys().cloned()).collect(),
            workspace_lints: manifest
                .get("lints")
                .is_some_and(|lints| lints["workspace"].as_bool() == Some(true)),
        }
    }
}

fn read(manifest: &Path) -> toml::Value {
    let text = fs::read_to_string(manifest).unwrap();
    toml::Value::Table(text.parse().unwrap())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What stands between single back quotes, outside of fenced blocks.
fn code_spans(markdown: &str) -> impl Iterator<Item = &str> {
    let prose = markdown.split("```").step_by(2);
    prose.flat_map(|text| text.split('`').skip(1).step_by(2))
}

/// A path from the root of the repository: its first folder stands there, or it ends like a file of ours, so that a
/// misspelt first folder is noticed too. A file name alone (`main.rs`) says nothing about where it is.
fn looks_like_a_path(span: &str) -> bool {
    let plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let ends_like_a_file = [".rs", ".md", ".toml", ".proto"].iter().any(|ending| span.ends_with(ending));
    let first_folder = span.split_once('/').map(|(first, _)| first).filter(|first| !first.is_empty());
    plain && first_folder.is_some_and(|first| ends_like_a_file || root().join(first).exists())
}
