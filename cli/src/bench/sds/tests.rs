//! What is opened by which flags.

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    sds: Sds,
}

fn sds(flags: &[&str]) -> Sds {
    Line::try_parse_from(["sds"].iter().chain(flags)).unwrap().sds
}

#[test]
fn roots_are_asked_for_without_a_token_and_a_certificate_with_one() {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "a.b.c").unwrap();
    let file = token.path().to_str().unwrap();
    for (name, flags, names, credentials) in [
        ("no token", &[][..], &["ROOTCA"][..], 0),
        ("a token", &["--token-file", file], &["default"], 1),
        ("two tokens", &["--token-file", file, "--token-file", file], &["default"], 2),
        ("a token and names", &["--token-file", file, "--name", "a", "--name", "b"], &["a", "b"], 1),
    ] {
        let plan = sds(flags).plan().unwrap();
        assert_eq!(plan.names, names, "{name}");
        assert_eq!(plan.credentials.len(), credentials, "{name}");
    }
}

#[test]
fn more_connections_than_streams_are_a_fault_of_the_command_line() {
    let error = sds(&["--streams", "3", "--connections", "4"]).plan().unwrap_err();
    assert!(error.is::<Usage>() && error.to_string().contains("--connections 4"), "{error}");
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    for flags in [
        ["--streams", "0"],
        ["--streams", "100001"],
        ["--connections", "0"],
        ["--duration", "999ms"],
        ["--duration", "25h"],
    ] {
        assert!(Line::try_parse_from(["sds"].iter().chain(&flags)).is_err(), "{flags:?}");
    }
}

#[test]
fn nobody_on_the_socket_is_no_answer() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("agent.sock");
    let (mut output, mut notes) = (vec![], vec![]);
    let mut console = Console::into_memory(crate::output::Format::Text, &mut output, &mut notes);
    let error = sds(&["--socket", socket.to_str().unwrap()]).run(&mut console).unwrap_err();
    assert!(!error.is::<Usage>() && error.to_string().contains("agent.sock"), "{error}");
}
