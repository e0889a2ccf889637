//! The binary as an operator runs it: checking a configuration.

#![cfg(test)]

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

fn check(directory: &Path, file: &str) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signet-node-agent"));
    command.current_dir(directory).args(["check", "--config", file]).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[test]
fn check_reports_every_fault_and_starts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let socket = "[[socket]]\npath = 'run/agent.sock'\n";
    let token = "identity = 'token-file'\ntoken_file = 'none'\nallowed_uids = [1]\n";
    for (name, text, parts) in [
        (
            "the file",
            format!("[ca]\naddress = 'x'\n[limits]\nstream = 1\n{socket}"),
            ["ca.address: ", "limits.stream: unknown key"],
        ),
        (
            "what it names",
            format!("[ca]\nanchors = 'none.pem'\n{socket}{token}"),
            ["ca.anchors: ", "socket[0].token_file: "],
        ),
    ] {
        fs::write(directory.path().join("agent.toml"), text).unwrap();

        let (good, told) = check(directory.path(), "agent.toml");

        assert!(!good, "{name}");
        assert!(parts.iter().all(|part| told.contains(part)), "{name}: {told}");
        assert!(!directory.path().join("run").exists(), "{name}: a check makes nothing");
    }
}
