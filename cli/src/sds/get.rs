//! `signet sds get`: what an agent gives, once.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Args;
use serde::Serialize;
use signet_identity::Clock;
use signet_runtime::SystemClock;
use tokio::time::timeout;

use super::journal::{Journal, PrivateKeys, Pushed};
use super::subscription::{Subscription, refused};
use super::{SubscriptionFlags, told};
use crate::outcome::Outcome;
use crate::output::{BAD, Console, styled};
use crate::task;

/// What to ask for.
#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    subscription: SubscriptionFlags,
    /// The longest that the agent may take to give all of them
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    deadline: Duration,
    /// Show the private keys too
    #[arg(long)]
    show_private_keys: bool,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  signet sds get --token-file ./try/token
  signet sds get default --socket /run/signet/agent.sock --token-file token --output json
  signet sds get ROOTCA --delta

Exit code 0: all were given, and a proxy would take them; 1: not so, or the agent refused; 3: no agent answered.";

/// What came.
#[derive(Debug, Serialize)]
struct Answer {
    held: bool,
    secrets: Vec<Pushed>,
    /// Names that were given nothing.
    missing: Vec<String>,
}

impl Get {
    pub(super) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        let keys = if self.show_private_keys { PrivateKeys::Shown } else { PrivateKeys::Hidden };
        let subscription = self.subscription.subscription();
        let got = task::block_on(|stop| async move {
            let got = collect(&subscription, keys, self.deadline);
            stop.run_until_cancelled(got).await.unwrap_or_else(|| Err(anyhow!("interrupted")))
        });
        let answer = match got {
            Ok(answer) => answer,
            Err(error) => {
                let Some(refused) = refused(&error) else { return Err(told(error)) };
                console.answer(&refused)?;
                return Ok(Outcome::NotHeld);
            }
        };
        if keys == PrivateKeys::Shown {
            console
                .note("private keys follow: whoever has one is the workload until its certificate ends")?;
        }
        console.answer(&answer)?;
        Ok(answer.held.into())
    }
}

/// Until all names were given something, or the deadline. A part is an answer, nothing at all is none.
async fn collect(subscription: &Subscription, keys: PrivateKeys, deadline: Duration) -> Result<Answer> {
    let (mut journal, mut secrets) = (Journal::default(), Vec::new());
    let all = async {
        let mut stream = subscription.open().await?;
        while !journal.missing(subscription.names()).is_empty() {
            let Some(push) = stream.next().await? else { break };
            secrets.extend(journal.take(push.secrets, keys, SystemClock.now()));
        }
        anyhow::Ok(())
    };
    match timeout(deadline, all).await {
        Ok(ended) => ended?,
        Err(_) if secrets.is_empty() => {
            return Err(anyhow!(
                "the agent gave nothing within {}: it may wait for its CA, which its log and its /readyz tell, or be no SDS server",
                crate::output::span(deadline)
            ));
        }
        Err(_) => {}
    }
    let missing = journal.missing(subscription.names());
    Ok(Answer { held: missing.is_empty() && !secrets.iter().any(Pushed::is_concerning), secrets, missing })
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.secrets.iter().try_for_each(|secret| write!(f, "{secret}"))?;
        self.missing.iter().try_for_each(|name| {
            writeln!(f, "{} {name}: the agent gave nothing under this name", styled(BAD, "✗"))
        })
    }
}
