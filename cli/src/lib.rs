//! The operator's and tester's command line: one module a noun.
//!
//! It speaks to the certificate authority and the node agent as any user would, over their sockets, and does not
//! link them.

mod demo;
mod output;
pub mod stage;
mod token;

use std::io;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use demo::Demo;
use token::TokenCommand;

/// Identities for workloads: short-lived, provable, and kept fresh.
#[derive(Debug, Parser)]
#[command(name = "signet", version)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See Signet work with real Envoys on this machine, in under 3 minutes
    #[command(after_help = demo::EXAMPLES)]
    Demo(Demo),
    /// Make and read the tokens by which workloads prove who they are
    #[command(subcommand)]
    Token(TokenCommand),
}

impl CommandLine {
    /// Does what it says, and tells what went wrong on standard error.
    pub fn run(self) -> ExitCode {
        self.command.run().unwrap_or_else(|error| {
            eprintln!("signet: {error:#}");
            ExitCode::FAILURE
        })
    }
}

impl Command {
    fn run(self) -> Result<ExitCode> {
        match self {
            Self::Demo(demo) => demo.run(),
            Self::Token(command) => {
                command.run(&mut io::stdout().lock(), &mut io::stderr().lock()).map(|()| ExitCode::SUCCESS)
            }
        }
    }
}
