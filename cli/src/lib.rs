//! The operator's and tester's command line: one module a noun.
//!
//! It speaks to the certificate authority and the node agent as any user would, over their sockets, and does not
//! link them. Every verb answers as text or as JSON (`output`) and ends with an exit code that scripts can rely on
//! (`outcome`).

mod bench;
mod cert;
mod csr;
mod demo;
mod files;
mod flags;
mod input;
pub mod load;
mod manual;
mod outcome;
mod output;
mod proxy;
mod refused;
mod request;
mod rotation;
mod sds;
pub mod stage;
mod task;
mod token;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use bench::BenchCommand;
use cert::CertCommand;
use csr::CsrCommand;
use demo::Demo;
use manual::{Completions, Man};
use outcome::Outcome;
use output::{Console, Format};
use proxy::ProxyCommand;
use request::Request;
use rotation::RotationCommand;
use sds::SdsCommand;
use token::TokenCommand;

/// Identities for workloads: short-lived, provable, and kept fresh.
#[derive(Debug, Parser)]
#[command(name = "signet", version, after_help = EXIT_CODES)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
    /// For people, or for scripts: docs/command-line.md documents the JSON
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t)]
    output: Format,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  it held: what was looked at is as it should be
  1  it did not hold
  2  the command line is wrong
  3  it could not be asked: no file, no connection, no answer";

#[derive(Debug, Subcommand)]
enum Command {
    /// See Signet work with real Envoys on this machine, in under 3 minutes
    #[command(after_help = demo::EXAMPLES)]
    Demo(Demo),
    /// Ask a CA for one certificate, and judge the answer
    #[command(after_help = request::EXAMPLES)]
    Request(Request),
    /// Look at what an agent gives to proxies
    #[command(subcommand)]
    Sds(SdsCommand),
    /// Try what certificates that change do to connections
    #[command(subcommand)]
    Rotation(RotationCommand),
    /// Look at what a proxy makes of its secrets
    #[command(subcommand)]
    Proxy(ProxyCommand),
    /// Make and read the tokens by which workloads prove who they are
    #[command(subcommand)]
    Token(TokenCommand),
    /// Put a CA or an agent under load
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Make CSRs, right or wrong on purpose, and show what a CA will make of them
    #[command(subcommand)]
    Csr(CsrCommand),
    /// Show certificates, and verify them as a peer would
    #[command(subcommand)]
    Cert(CertCommand),
    /// Print the completions of a shell
    #[command(after_help = manual::COMPLETIONS_EXAMPLES)]
    Completions(Completions),
    /// Write the manual pages of all commands
    #[command(after_help = manual::MAN_EXAMPLES)]
    Man(Man),
}

impl CommandLine {
    /// Does what it says, and tells what went wrong on standard error.
    pub fn run(self) -> ExitCode {
        let ended = self.command.run(&mut Console::standard(self.output));
        if let Err(error) = &ended
            && !outcome::is_unheard(error)
        {
            eprintln!("signet: {error:#}");
        }
        outcome::exit_code(&ended)
    }
}

impl Command {
    fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        match self {
            Self::Demo(demo) => demo.run(console),
            Self::Request(request) => request.run(console),
            Self::Sds(command) => command.run(console),
            Self::Rotation(command) => command.run(console),
            Self::Proxy(command) => command.run(console),
            Self::Token(command) => command.run(console),
            Self::Bench(command) => command.run(console),
            Self::Csr(command) => command.run(console),
            Self::Cert(command) => command.run(console),
            Self::Completions(completions) => completions.run(console),
            Self::Man(man) => man.run(console),
        }
    }
}

#[cfg(test)]
mod tests;
