//! The binary as an operator runs it: checking a configuration, and under whatever umask there is.

#![cfg(test)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::Duration,
};

use tokio::time::Instant;

/// Far more than a start takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn output(directory: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signet-node-agent"));
    command.current_dir(directory).args(arguments).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[test]
fn check_reports_every_fault_at_once_and_makes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let text = "[ca]\nanchors = 'none.pem'\n[limits]\nstream = 1\n\
                [[socket]]\npath = 'run/agent.sock'\n\
                identity = 'token-file'\ntoken_file = 'none'\nallowed_uids = [1]\n\
                [[socket]]\npath = 'agent.toml'\n[[socket]]\nmode = 'x'";
    fs::write(directory.path().join("agent.toml"), text).unwrap();

    let (good, told) = output(directory.path(), &["check", "--config", "agent.toml"]);

    assert!(!good);
    for fault in [
        "ca.anchors: cannot read",
        "limits.stream: unknown key",
        "socket[0].token_file: ",
        "socket[1].path: agent.toml is not a socket",
        "socket[2].mode: ",
    ] {
        assert!(told.contains(fault), "{fault}: {told}");
    }
    assert!(!directory.path().join("run").exists(), "a check makes nothing");
}

#[test]
fn what_a_check_refuses_of_a_socket_a_start_refuses_in_the_same_words() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("file"), "precious").unwrap();
    fs::create_dir(at("open")).unwrap();
    fs::set_permissions(at("open"), fs::Permissions::from_mode(0o777)).unwrap();
    let long = "a".repeat(200);
    for (name, path, fault) in [
        ("too long", &*long, "is longer than 107 bytes"),
        (
            "below a directory that others may write to",
            "open/its own/agent.sock",
            "group or others may write",
        ),
        ("a regular file", "file", "file is not a socket and is left alone"),
        ("below a regular file", "file/agent.sock", "cannot make the directory"),
    ] {
        fs::write(at("agent.toml"), format!("[[socket]]\npath = '{path}'")).unwrap();
        for command in [&["check"][..], &[]] {
            let (good, told) = output(directory.path(), &[command, &["--config", "agent.toml"]].concat());
            assert!(!good && told.contains(fault), "{name}, {command:?}: {told}");
        }
    }
}

#[test]
fn the_umask_takes_nothing_from_the_socket_and_its_directories_and_gives_nothing() {
    for umask in ["0777", "0000"] {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("run/signet/agent.sock");
        let (anchors, path) = (directory.path().join("none.pem"), socket.display());
        let text = format!(
            "[ca]\naddress = '127.0.0.1:1'\nanchors = {anchors:?}\n[operations]\nlisten = '127.0.0.1:0'\n\
             [[socket]]\npath = '{path}'\nmode = '0660'"
        );
        let file = directory.path().join("agent.toml");
        fs::write(&file, text).unwrap();
        let start = format!("umask {umask}; exec \"$0\" --config \"$1\"");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &start, env!("CARGO_BIN_EXE_signet-node-agent")]).arg(&file);
        let _agent = Running(
            command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap(),
        );

        let end = Instant::now() + PATIENCE;
        while !socket.exists() {
            assert!(Instant::now() < end, "umask {umask}: no socket");
            sleep(Duration::from_millis(10));
        }

        assert_eq!(mode_of(&socket), 0o660, "umask {umask}");
        for made in ["run", "run/signet"] {
            assert_eq!(mode_of(&directory.path().join(made)), 0o755, "umask {umask}: {made}");
        }
    }
}
