//! The `signet` command.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    signet::CommandLine::parse().run()
}
