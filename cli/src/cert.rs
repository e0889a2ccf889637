//! `signet cert`: what a certificate says, and whether a peer would accept it.

mod extensions;
mod inspect;
mod portrait;
mod verify;
mod walk;
mod words;

use anyhow::Result;
use clap::Subcommand;

use crate::outcome::Outcome;
use crate::output::Console;
pub(crate) use extensions::Extensions;
use inspect::Inspect;
use verify::Verify;
pub(crate) use words::{algorithm, escaped, hex, key, line};

/// What can be done with certificates.
#[derive(Debug, Subcommand)]
pub(crate) enum CertCommand {
    /// Show certificates, and every rule of X.509-SVID that they break
    #[command(after_help = inspect::EXAMPLES)]
    Inspect(Inspect),
    /// Verify a chain against a bundle as a peer would, and say which certificate breaks and why
    #[command(after_help = verify::EXAMPLES)]
    Verify(Box<Verify>),
}

impl CertCommand {
    /// Does it.
    pub(crate) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        match self {
            Self::Inspect(inspect) => inspect.run(console),
            Self::Verify(verify) => verify.run(console),
        }
    }
}

#[cfg(test)]
mod tests;
