//! The rules of the workspace that no compiler knows: which crate may name which. Reads the manifests; runs nothing.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each crate of ours and what it may name. Arrows point down only; what a crate reaches through another, it may
/// name itself. The tests and the bench stand above everything and are therefore not listed.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("signet-identity", &[]),
    ("signet-proto", &[]),
    ("signet-runtime", &["signet-identity"]),
    ("signet-backends", &["signet-identity"]),
    ("signet-client", &["signet-runtime", "signet-proto", "signet-identity"]),
    ("signet-ca", &["signet-backends", "signet-runtime", "signet-proto", "signet-identity"]),
    (
        "signet-node-agent",
        &["signet-client", "signet-backends", "signet-runtime", "signet-proto", "signet-identity"],
    ),
    ("signet", &["signet-client", "signet-runtime", "signet-proto", "signet-identity"]),
];

/// Stand above everything: nothing may name them.
const SUMMIT: &[&str] = &["signet-tests", "signet-bench"];

/// May use the `rsa` crate, which is not constant-time: they make keys that no process of ours serves with.
const MAY_USE_RSA: &[&str] = &["signet", "signet-tests", "signet-bench"];

#[test]
fn arrows_between_crates_point_down() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_NAME.iter().copied().collect();
    let mut faults = Vec::new();
    for manifest in Manifest::all().iter().filter(|manifest| !SUMMIT.contains(&manifest.name.as_str())) {
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

#[test]
fn the_rsa_crate_stays_out_of_the_processes() {
    let manifests = Manifest::all();
    let users: Vec<_> = manifests.iter().filter(|manifest| manifest.names.contains("rsa")).collect();
    for user in users {
        assert!(MAY_USE_RSA.contains(&user.name.as_str()), "{} uses the rsa crate", user.name);
    }
}

#[test]
fn every_crate_takes_its_lints_from_the_workspace() {
    for manifest in Manifest::all() {
        assert!(manifest.workspace_lints, "{} lacks `[lints] workspace = true`", manifest.name);
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
