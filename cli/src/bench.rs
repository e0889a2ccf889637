//! `signet bench`: the load generators of `make bench`, against any certificate authority and any agent.

mod issue;
mod sds;

use anyhow::Result;
use clap::Subcommand;

use crate::outcome::Outcome;
use crate::output::Console;
use issue::Issue;
use sds::Sds;

/// What can be put under load.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Ask a CA for certificates as fast as it gives them, or at a rate, and see how it keeps up
    #[command(after_help = issue::EXAMPLES)]
    Issue(Issue),
    /// Hold many SDS streams before an agent, and see how soon each has its secrets and every push reaches all
    #[command(after_help = sds::EXAMPLES)]
    Sds(Sds),
}

impl BenchCommand {
    pub(crate) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        match self {
            Self::Issue(issue) => issue.run(console),
            Self::Sds(sds) => sds.run(console),
        }
    }
}
