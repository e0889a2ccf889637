//! The command line as a whole: what holds for every verb.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use super::*;

#[test]
fn the_command_line_is_consistent() {
    CommandLine::command().debug_assert();
}

/// An example is the first thing that is tried: it must at least be taken.
#[test]
fn every_verb_has_an_example_and_every_example_is_taken() {
    for (path, verb) in verbs(&CommandLine::command(), "signet") {
        let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<_> = help.lines().filter(|line| line.starts_with("  ")).collect();
        assert!(examples.iter().any(|line| line.contains(&path)), "`{path} --help` has no example");
        for command in examples.iter().flat_map(|line| line.split(['|', '>', ';'])) {
            let words = shlex::split(command).unwrap_or_else(|| panic!("{path}: cannot be read: {command}"));
            if words.first().is_some_and(|word| word == "signet")
                && let Err(error) = CommandLine::try_parse_from(&words)
            {
                panic!("{path}: the example `{command}` is refused: {error}");
            }
        }
    }
}

#[test]
fn every_verb_takes_the_output_format() {
    for (path, _) in verbs(&CommandLine::command(), "signet") {
        let words = path.split(' ').chain(["--output", "yaml"]);
        let error = CommandLine::try_parse_from(words).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidValue, "{path}: {error}");
    }
}

/// Each command that has no commands below it, with the words that lead to it.
fn verbs(command: &clap::Command, path: &str) -> Vec<(String, clap::Command)> {
    let below: Vec<_> = command.get_subcommands().filter(|below| below.get_name() != "help").collect();
    if below.is_empty() {
        return vec![(path.to_owned(), command.clone())];
    }
    below.into_iter().flat_map(|below| verbs(below, &format!("{path} {}", below.get_name()))).collect()
}
