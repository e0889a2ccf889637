//! The binary as an operator runs it: checking, starting, refusing to start, stopping.
#![cfg(test)]

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use signet_identity::{PrivateKey, jwt::DevelopmentIssuer};
use tempfile::TempDir;

fn signet_ca(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signet-ca"));
    command.current_dir(directory).args(arguments).stdin(Stdio::null());
    command
}

fn output(directory: &Path, arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = signet_ca(directory, arguments).output().unwrap();
    (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// A directory with the keys of a development issuer and a configuration that names them.
fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let issuer = DevelopmentIssuer::new(PrivateKey::generate().unwrap(), "https://issuer.example".to_owned());
    fs::write(directory.path().join("jwks.json"), issuer.unwrap().jwks_json()).unwrap();
    let text = "[listen]\ngrpc = '127.0.0.1:0'\noperations = '127.0.0.1:0'\ncores = 1\n\
                [state]\ndirectory = 'state'\n[[issuer]]\nurl = 'https://issuer.example'\njwks_file = 'jwks.json'\n";
    fs::write(directory.path().join("ca.toml"), text).unwrap();
    directory
}

#[test]
fn it_says_its_version() {
    let (good, text) = output(Path::new("/"), &["--version"]);

    assert!(good);
    assert_eq!(text.trim(), concat!("signet-ca ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn check_reports_every_fault_and_starts_nothing() {
    let directory = directory();
    fs::write(directory.path().join("bad.toml"), "[listen]\ngrpc = 'x'\n[limits]\nqueu = 1\n").unwrap();

    let (good, text) = output(directory.path(), &["check", "--config", "bad.toml"]);

    assert!(!good);
    assert!(
        text.contains("listen.grpc: ") && text.contains("limits.queu: unknown key (did you mean `queue`?)"),
        "{text}"
    );
    assert!(!directory.path().join("state").exists());
}

#[test]
fn check_accepts_what_can_be_started() {
    let directory = directory();

    let (good, text) = output(directory.path(), &["--config", "ca.toml", "--development", "check"]);

    assert!(good, "{text}");
    assert!(!directory.path().join("state").exists(), "a check makes nothing");
}

#[test]
fn keys_of_a_development_issuer_stop_a_ca_that_is_not_for_development() {
    let directory = directory();
    for arguments in [&["--config", "ca.toml"][..], &["check", "--config", "ca.toml"]] {
        let (good, text) = output(directory.path(), arguments);

        assert!(!good, "{arguments:?}");
        assert!(text.contains("development issuer"), "{arguments:?}: {text}");
    }
}

#[test]
fn a_terminated_ca_ends_well_and_soon_and_leaves_a_state_that_starts_again() {
    let directory = directory();
    let mut roots = Vec::new();
    for _ in 0..2 {
        let mut ca = signet_ca(directory.path(), &["--config", "ca.toml", "--development"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = std::io::BufReader::new(ca.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains(r#""message":"serving""#) {
            line.clear();
            assert_ne!(
                std::io::BufRead::read_line(&mut log, &mut line).unwrap(),
                0,
                "ended before it served"
            );
        }

        let pid = rustix::process::Pid::from_child(&ca);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();

        assert!(ca.wait().unwrap().success());
        roots.push(fs::read_to_string(directory.path().join("state/root-cert.pem")).unwrap());
    }
    assert_eq!(roots[0], roots[1]);
}
