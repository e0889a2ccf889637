//! The binary as an operator runs it: checking, starting, refusing to start, stopping.
#![cfg(test)]

mod first_start;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use rustix::process::Signal;
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

fn spawn(directory: &Path) -> Child {
    signet_ca(directory, &["--config", "ca.toml", "--development"]).stderr(Stdio::piped()).spawn().unwrap()
}

/// A CA that serves.
pub(crate) fn start(directory: &Path) -> Child {
    let mut ca = spawn(directory);
    until_it_serves(&mut ca);
    ca
}

/// What it logs until it serves.
fn until_it_serves(ca: &mut Child) -> String {
    let mut stderr = BufReader::new(ca.stderr.as_mut().unwrap());
    let mut log = String::new();
    while !log.contains(r#""message":"serving""#) {
        assert_ne!(stderr.read_line(&mut log).unwrap(), 0, "ended before it served: {log}");
    }
    log
}

/// A directory with the keys of a development issuer and a configuration that names them.
pub(crate) fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let issuer = DevelopmentIssuer::new(PrivateKey::generate().unwrap(), "https://issuer.example".to_owned());
    fs::write(directory.path().join("jwks.json"), issuer.jwks_json()).unwrap();
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
fn check_of_a_running_ca_is_good_and_says_who_runs_as_a_second_start_does() {
    let directory = directory();
    let mut ca = start(directory.path());
    let pid = ca.id();

    let (good, text) = output(directory.path(), &["--config", "ca.toml", "--development", "check"]);
    let (started, refusal) = output(directory.path(), &["--config", "ca.toml", "--development"]);

    ca.kill().unwrap();
    ca.wait().unwrap();
    assert!(good, "{text}");
    assert!(text.contains(&format!("notice: state.directory: in use by process {pid}")), "{text}");
    assert!(!started && refusal.contains(&format!("in use by process {pid}")), "{refusal}");
    assert!(refusal.contains("has another root, which the workloads of this one do not trust"), "{refusal}");
}

#[test]
fn what_a_check_refuses_a_start_refuses_in_the_same_words_and_before_it_makes_anything() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("'{}'", taken.local_addr().unwrap());
    let log = tempfile::NamedTempFile::new().unwrap();
    log.as_file().lock().unwrap();
    let log = log.path().display();
    for (case, from, to, fault) in [
        (
            "a port that is taken",
            "'127.0.0.1:0'\noperations",
            &*format!("{taken}\noperations"),
            "set `listen.grpc` to",
        ),
        (
            "the other port",
            "operations = '127.0.0.1:0'",
            &format!("operations = {taken}"),
            "set `listen.operations` to",
        ),
        ("no keys", "jwks.json", "none.json", "issuer[0].jwks_file: cannot read none.json"),
        (
            "no directory for the audit",
            "[state]",
            "[audit]\npath = 'none/a'\n[state]",
            "audit.path: cannot write none/a",
        ),
        (
            "the audit of another CA",
            "[state]",
            &format!("[audit]\npath = '{log}'\n[state]"),
            "each CA needs a log of its own: another process writes it",
        ),
        (
            "a filter",
            "[state]",
            "[telemetry]\nlog_filter = 'a=b'\n[state]",
            "telemetry.log_filter: `a=b` is no",
        ),
    ] {
        let directory = directory();
        let file = directory.path().join("ca.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{case}");
        fs::write(&file, text.replacen(from, to, 1)).unwrap();
        for command in [&["check"][..], &[]] {
            let arguments = [&["--config", "ca.toml", "--development"], command].concat();

            let (good, text) = output(directory.path(), &arguments);

            assert!(!good && text.contains(fault), "{case} {command:?}: {text}");
            assert!(!directory.path().join("state").exists(), "{case} {command:?} left a state");
        }
    }
}

#[test]
fn a_ca_without_issuers_starts_and_warns() {
    let directory = directory();
    let file = directory.path().join("ca.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.split("[[issuer]]").next().unwrap()).unwrap();
    let mut ca = spawn(directory.path());

    let log = until_it_serves(&mut ca);

    ca.kill().unwrap();
    ca.wait().unwrap();
    let warning = log.lines().find(|line| line.contains("WARN") && line.contains("want an `[[issuer]]`"));
    assert!(warning.is_some(), "{log}");
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
    for signal in [Signal::TERM, Signal::INT] {
        let mut ca = start(directory.path());

        let pid = rustix::process::Pid::from_child(&ca);
        rustix::process::kill_process(pid, signal).unwrap();

        assert!(ca.wait().unwrap().success(), "{signal:?}");
        roots.push(fs::read_to_string(directory.path().join("state/root-cert.pem")).unwrap());
    }
    assert_eq!(roots[0], roots[1]);
}
