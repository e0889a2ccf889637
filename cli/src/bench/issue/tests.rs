//! What is asked by which flags.

use clap::Parser;
use tempfile::TempDir;

use super::*;
use crate::output::Format;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    issue: Issue,
}

fn parsed(flags: &[&str]) -> Result<Issue, clap::Error> {
    let line = ["issue", "--anchors", "root-cert.pem"].iter().chain(flags);
    Line::try_parse_from(line).map(|line| line.issue)
}

fn run(issue: Issue) -> Result<Outcome> {
    let (mut output, mut notes) = (vec![], vec![]);
    issue.run(&mut Console::into_memory(Format::Text, &mut output, &mut notes))
}

#[test]
fn what_is_out_of_bounds_or_contradicts_itself_is_refused() {
    for flags in [
        &["--connections", "0"][..],
        &["--connections", "1001"],
        &["--in-flight", "0"],
        &["--rate", "0"],
        &["--count", "0"],
        &["--duration", "999ms"],
        &["--duration", "25h"],
        &["--rate", "10", "--in-flight", "3"],
        &["--rate", "10", "--count", "3"],
        &["--duration", "10s", "--count", "3"],
        &["--fresh", "--connections", "3"],
        &["--issuer-keys", "keys"],
        &["--tokens", "3"],
    ] {
        let flags: Vec<_> = ["--token-file", "token"].iter().chain(flags).copied().collect();
        assert!(parsed(&flags).is_err(), "{flags:?}");
    }
    assert!(parsed(&[]).is_err(), "no token");
}

#[test]
fn more_in_flight_than_anybody_needs_is_a_fault_of_the_command_line() {
    let issue = parsed(&["--token-file", "token", "--connections", "1000", "--in-flight", "17"]).unwrap();
    let error = run(issue).unwrap_err();
    assert!(error.is::<Usage>() && error.to_string().contains("16384"), "{error}");
}

#[test]
fn no_anchors_and_no_ca_are_no_answer() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("token"), "a.b.c").unwrap();
    let flags = ["issue", "--anchors", &path("none.pem"), "--token-file", &path("token")];
    let error = run(Line::try_parse_from(flags).unwrap().issue).unwrap_err();
    assert!(!error.is::<Usage>() && error.to_string().contains("none.pem"), "{error}");
}

#[test]
fn a_refusal_is_an_answer_and_silence_is_none() {
    use signet_client::testing::FakeCa;
    for (error, answered) in [
        (FakeCa::refused_token(), true),
        (FakeCa::overloaded(Duration::from_secs(1)), true),
        (FakeCa::unavailable(), true),
        (FakeCa::disconnected(), false),
    ] {
        assert_eq!(is_answered(&anyhow::Error::new(error.clone())), answered, "{error}");
    }
}
