//! The disk as a SIGKILL at each step of a first start would leave it, and the start that follows.

use std::{collections::BTreeMap, fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use crate::{directory, start};

/// Name and content of files in a state directory.
type Files = Vec<(String, Vec<u8>)>;

/// A start writes in this order: lock, key, state, export, each file but the first under another name before
/// it gets its own; then the audit log, line by line, to the outcome of its own certificate. The state is the
/// point of commit: a root that it names is kept.
fn steps(whole: &BTreeMap<String, Vec<u8>>) -> Vec<(&'static str, Files)> {
    let key = whole.keys().find(|name| name.starts_with("key-")).unwrap();
    let half = |name: &str| (format!(".{name}.x7.tmp"), whole[name][..whole[name].len() / 2].to_vec());
    let unnamed = |name: &str| (format!(".{name}.x7.tmp"), whole[name].clone());
    let file = |name: &str| (name.to_owned(), whole[name].clone());
    let files = |names: &[&str]| names.iter().map(|name| file(name)).collect::<Files>();
    let and = |mut files: Files, one| {
        files.push(one);
        files
    };
    let locked = files(&["lock"]);
    let keyed = files(&["lock", key]);
    let committed = files(&["lock", key, "state.json"]);
    let exported = files(&["lock", key, "state.json", "root-cert.pem"]);
    let log = |bytes: usize| ("audit.jsonl".to_owned(), whole["audit.jsonl"][..bytes].to_vec());
    let ends: Vec<usize> = whole["audit.jsonl"]
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(n, _)| n + 1)
        .collect();
    vec![
        ("the directory", Vec::new()),
        ("the lock", locked.clone()),
        ("half a key", and(locked.clone(), half(key))),
        ("a key without its name", and(locked, unnamed(key))),
        ("the key", keyed.clone()),
        ("half a state", and(keyed.clone(), half("state.json"))),
        ("a state without its name", and(keyed, unnamed("state.json"))),
        ("the state", committed.clone()),
        ("half an export", and(committed.clone(), half("root-cert.pem"))),
        ("an export without its name", and(committed, unnamed("root-cert.pem"))),
        ("the export", exported.clone()),
        ("an empty audit log", and(exported.clone(), log(0))),
        ("half of its first record", and(exported.clone(), log(ends[0] / 2))),
        ("its first record", and(exported.clone(), log(ends[0]))),
        ("the intent to sign its own certificate", and(exported.clone(), log(ends[1]))),
        ("half of the outcome", and(exported.clone(), log((ends[1] + ends[2]) / 2))),
        ("the outcome", and(exported, log(ends[2]))),
    ]
}

#[test]
fn a_first_start_that_is_killed_at_any_step_is_followed_by_one_that_serves() {
    let first = directory();
    serve_and_kill(first.path());
    let whole = files_of(first.path());
    for (step, left) in steps(&whole) {
        let directory = left_behind(&left);

        serve_and_kill(directory.path());

        let now = files_of(directory.path());
        let kept = now.keys().filter(|name| !name.ends_with(".stray")).collect::<Vec<_>>();
        assert_eq!(kept.len(), 5, "{step}: {kept:?}");
        let is_committed = left.iter().any(|(name, _)| name == "state.json");
        assert_eq!(now["root-cert.pem"] == whole["root-cert.pem"], is_committed, "{step}: the root");
        let had_key = left.iter().any(|(name, _)| name.starts_with("key-"));
        assert_eq!(now.len() - kept.len(), usize::from(had_key && !is_committed), "{step}: {:?}", now.keys());
        assert_eq!(open_intents(&now["audit.jsonl"]), [""; 0], "{step}");
    }
}

fn serve_and_kill(directory: &Path) {
    let mut ca = start(directory);
    ca.kill().unwrap();
    ca.wait().unwrap();
}

fn files_of(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory.join("state")).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// A configuration, and a state directory with these files.
fn left_behind(files: &Files) -> TempDir {
    let directory = directory();
    let state = directory.path().join("state");
    signet_runtime::files::create_private_directory(&state).unwrap();
    for (name, content) in files {
        let mut new = fs::OpenOptions::new();
        new.write(true)
            .create_new(true)
            .mode(0o600)
            .open(state.join(name))
            .unwrap()
            .write_all(content)
            .unwrap();
    }
    directory
}

/// Request ids of intents that have not exactly one outcome.
fn open_intents(log: &[u8]) -> Vec<String> {
    let lines =
        log.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let mut outcomes = BTreeMap::new();
    for line in lines {
        let Some(id) = line["request_id"].as_str() else { continue };
        *outcomes.entry(id.to_owned()).or_insert(0) += i32::from(line["event"] != "signing");
    }
    outcomes.into_iter().filter(|(_, count)| *count != 1).map(|(id, _)| id).collect()
}
