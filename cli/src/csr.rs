//! `signet csr`: certificate signing requests, right or wrong on purpose, and what a CA will make of them.

mod broken;
mod draft;
mod inspect;
mod key;
mod new;

use anyhow::Result;
use clap::Subcommand;

use crate::outcome::Outcome;
use crate::output::Console;
use inspect::Inspect;
use new::New;

/// What can be done with CSRs.
#[derive(Debug, Subcommand)]
pub(crate) enum CsrCommand {
    /// Make a key and a CSR for a SPIFFE ID, or one that is wrong on purpose
    #[command(after_help = new::EXAMPLES)]
    New(New),
    /// Show CSRs, and what signet-ca would answer
    #[command(after_help = inspect::EXAMPLES)]
    Inspect(Inspect),
}

impl CsrCommand {
    /// Does it.
    pub(crate) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        match self {
            Self::New(new) => new.run(console),
            Self::Inspect(inspect) => inspect.run(console),
        }
    }
}

#[cfg(test)]
mod tests;
