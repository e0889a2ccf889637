//! `signet bench issue`: many requests to one certificate authority.

mod account;
mod ask;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use signet_client::{CaError, Outage};
use tokio::select;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::flags::CaFlags;
use crate::load::{Connections, Issuance, Ledger, Tally, Until};
use crate::outcome::{Outcome, Usage};
use crate::output::Console;
use crate::task;
use account::Account;
use ask::AskFlags;

/// The CA, what it is asked, and how.
#[derive(Debug, Args)]
pub(crate) struct Issue {
    #[command(flatten)]
    ca: CaFlags,
    #[command(flatten)]
    ask: AskFlags,
    /// Over how many connections, which are kept
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    connections: u32,
    /// A new connection, and so a TLS handshake, for each request
    #[arg(long, conflicts_with = "connections")]
    fresh: bool,
    /// Requests in flight on each connection, the next as soon as one is answered; with --fresh in all
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    in_flight: u32,
    /// Requests a second, on average, whatever became of the ones before
    #[arg(long, value_name = "N", conflicts_with_all = ["in_flight", "count"], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
    /// How long, such as `90s` or `1h`, at most a day
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    duration: Duration,
    /// So many requests, however long they take
    #[arg(long, value_name = "N", conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  signet bench issue --ca localhost:15012 --anchors ./try/state/root-cert.pem --issuer-keys ./try/issuer
  signet bench issue --anchors root-cert.pem --token-file token --rate 2000 --connections 16 --duration 1m
  signet bench issue --anchors root-cert.pem --token-file token --fresh --in-flight 8 --key-algorithm rsa-2048
  signet bench issue --ca istiod.istio-system.svc:15012 --ca-kind istio --anchors root-cert.pem --token-file token

With --rate, latency counts from when a request was due. Each request is asked once and never again. Exit code 1 when any
brought no certificate; 3 when there is no CA to ask.";

impl Issue {
    pub(super) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        if self.connections.saturating_mul(self.in_flight) > MOST_IN_FLIGHT {
            let fault = format!("--connections times --in-flight is more than {MOST_IN_FLIGHT}: give less");
            return Err(Usage(fault).into());
        }
        let tally = task::block_on(|stop| self.ask(console, stop))?;
        let account = Account::of(&tally, self.rate);
        console.answer(&account)?;
        Ok(account.held().into())
    }

    /// Asks until it is enough, or somebody has enough of it.
    async fn ask(&self, console: &Console<'_>, stop: CancellationToken) -> Result<Tally> {
        let endpoint = self.ca.endpoint()?;
        endpoint.check_anchors()?;
        let connections =
            if self.fresh { Connections::Fresh } else { Connections::Kept(self.connections as usize) };
        let load = Issuance::new(endpoint, connections, self.ask.requests(self.ca.trust_domain())?)?;
        let Some(()) = stop.run_until_cancelled(warm_up(&load)).await.transpose()? else {
            return Ok(Ledger::open()?.so_far());
        };
        let ledger = Ledger::open()?;
        let mut progress = console.progress("requests", self.count);
        let (mut run, mut looks) = (pin!(self.put(&load, &ledger)), interval(LOOK_EVERY));
        loop {
            select! {
                tally = &mut run => return tally,
                () = stop.cancelled() => return Ok(ledger.so_far()),
                _ = looks.tick() => {
                    let tally = ledger.so_far();
                    progress.at(tally.issued() + tally.failed());
                }
            }
        }
    }

    async fn put(&self, load: &Arc<Issuance>, ledger: &Ledger) -> Result<Tally> {
        match (self.rate, self.count) {
            (Some(rate), _) => load.open(f64::from(rate), self.duration, ledger).await,
            (None, Some(count)) => Ok(load.closed(self.in_flight as usize, Until::Made(count), ledger).await),
            (None, None) => {
                Ok(load.closed(self.in_flight as usize, Until::Passed(self.duration), ledger).await)
            }
        }
    }
}

/// That there is no CA is no finding about it; that it refuses is, and will be counted.
async fn warm_up(load: &Issuance) -> Result<()> {
    match load.warm_up().await {
        Err(error) if is_answered(&error) => Ok(()),
        ended => ended,
    }
}

fn is_answered(error: &anyhow::Error) -> bool {
    let silent = |error: &CaError| {
        matches!(
            error,
            CaError::Unavailable(
                Outage::Disconnected { .. } | Outage::Broken { .. } | Outage::NoAnswer { .. }
            )
        )
    };
    error.downcast_ref::<CaError>().is_some_and(|error| !silent(error))
}

fn parse_duration(text: &str) -> Result<Duration> {
    let duration = humantime::parse_duration(text)?;
    ensure!((SHORTEST..=LONGEST).contains(&duration), "want 1s to 1d");
    Ok(duration)
}

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
const LOOK_EVERY: Duration = Duration::from_millis(200);
const MOST_IN_FLIGHT: u32 = 16_384;

#[cfg(test)]
mod tests;
