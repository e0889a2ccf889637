//! `signet sds`: what an agent, ours or another, gives a proxy.

mod change;
mod get;
mod journal;
pub(crate) mod secret;
mod subscription;
mod watch;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::flags::AgentFlags;
use crate::outcome::Outcome;
use crate::output::Console;
use get::Get;
pub(crate) use subscription::{Stream, Subscription, Variant, told};
use watch::Watch;

/// What can be asked of an agent.
#[derive(Debug, Subcommand)]
pub(crate) enum SdsCommand {
    /// Show the secrets that an agent gives, once
    #[command(after_help = get::EXAMPLES)]
    Get(Get),
    /// Show each push of an agent as it comes, until Ctrl-C
    #[command(after_help = watch::EXAMPLES)]
    Watch(Watch),
}

/// Which secrets, of which agent, by which of the two protocols.
#[derive(Debug, Args)]
pub(crate) struct SubscriptionFlags {
    /// The secrets' names
    #[arg(value_name = "NAME", default_values = ["default", "ROOTCA"])]
    names: Vec<String>,
    #[command(flatten)]
    agent: AgentFlags,
    /// Ask by DeltaSecrets instead of StreamSecrets
    #[arg(long)]
    delta: bool,
}

impl SdsCommand {
    /// Does it.
    pub(crate) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        match self {
            Self::Get(get) => get.run(console),
            Self::Watch(watch) => watch.run(console),
        }
    }
}

impl SubscriptionFlags {
    fn subscription(&self) -> Subscription {
        let variant = if self.delta { Variant::Delta } else { Variant::StateOfTheWorld };
        Subscription::new(self.agent.clone(), self.names.clone(), variant)
    }
}
