//! `signet bench sds`: many streams before one agent.

mod account;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use signet_client::Token;
use signet_client::sds::{Credential, SdsClient};
use signet_runtime::open_files;
use tokio::select;
use tokio::time::{Instant, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::load::sds::{Plan, Streams};
use crate::outcome::{Outcome, Usage};
use crate::output::Console;
use crate::task;
use account::Account;

/// The agent, and the streams before it.
#[derive(Debug, Args)]
pub(crate) struct Sds {
    /// The socket on which SDS is served
    #[arg(long, value_name = "PATH", env = "SIGNET_SOCKET", default_value = "/run/signet/agent.sock")]
    socket: PathBuf,
    /// How many streams
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    streams: u32,
    /// Over how many connections, evenly
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    /// What each stream asks for; may be given several times [default: `default` with a token, `ROOTCA` without]
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// File with a token; may be given several times, and streams show them by turns
    #[arg(long = "token-file", value_name = "FILE")]
    token_files: Vec<PathBuf>,
    /// Header that the tokens travel in
    #[arg(long, value_name = "HEADER", default_value = "authorization")]
    token_header: String,
    /// How long the streams are held, such as `90s` or `1h`, at most a day
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    duration: Duration,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  signet bench sds --streams 200 --name ROOTCA
  signet bench sds --streams 1000 --connections 1000 --token-file token --duration 2m

An agent of ours gives one pod 256 streams on 32 connections, and a connection 256 streams: raise `streams_per_peer`,
`connections_per_peer` and `max_streams` of [limits] to try more. Exit code 1 when any stream got no secret, or ended.";

impl Sds {
    pub(super) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        let (plan, duration) = (self.plan()?, self.duration);
        open_files::raise_limit(plan.connections).context("cannot raise the limit of open files")?;
        let account = task::block_on(|stop| hold(plan, duration, console, stop))?;
        console.answer(&account)?;
        Ok(account.held().into())
    }

    fn plan(&self) -> Result<Plan> {
        if self.connections > self.streams {
            let Self { streams, connections, .. } = self;
            let fault =
                format!("--connections {connections} is more than --streams {streams}: give as many at most");
            return Err(Usage(fault).into());
        }
        let credential = |file: &PathBuf| {
            let token = Token::read(file)?;
            anyhow::Ok(Credential { header: self.token_header.clone(), token })
        };
        let credentials = self.token_files.iter().map(credential).collect::<Result<Vec<_>>>()?;
        let usual = if credentials.is_empty() { "ROOTCA" } else { "default" };
        let names = if self.names.is_empty() { vec![usual.to_owned()] } else { self.names.clone() };
        let (streams, connections) = (self.streams as usize, self.connections as usize);
        Ok(Plan { socket: self.socket.clone(), streams, connections, names, credentials })
    }
}

/// Opens the streams and holds them until the time is over, all have ended, or somebody has enough of it.
async fn hold(
    plan: Plan,
    duration: Duration,
    console: &Console<'_>,
    stop: CancellationToken,
) -> Result<Account> {
    // That nobody is there is no finding about the agent.
    SdsClient::connect(&plan.socket).await?;
    let (began, count) = (Instant::now(), plan.streams as u64);
    let streams = Streams::open(plan.clone())?;
    let mut opening = Some(console.progress("streams with secrets", Some(count)));
    let mut holding = None;
    let mut looks = interval(LOOK_EVERY);
    loop {
        select! {
            () = stop.cancelled() => break,
            () = sleep_until(began + duration) => break,
            _ = looks.tick() => {}
        }
        let tally = streams.tally();
        if tally.open() == 0 {
            break;
        }
        match &mut opening {
            Some(progress) if tally.waiting() > 0 => progress.at(tally.waited().count()),
            _ => {
                opening = None;
                holding.get_or_insert_with(|| console.progress("pushes", None)).at(tally.pushes());
            }
        }
    }
    Ok(Account::of(&plan, began.elapsed(), &streams.tally()))
}

fn parse_duration(text: &str) -> Result<Duration> {
    let duration = humantime::parse_duration(text)?;
    ensure!((SHORTEST..=LONGEST).contains(&duration), "want 1s to 1d");
    Ok(duration)
}

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
