//! `signet sds watch`: each push as it comes, over as many streams as it takes.

use std::fmt;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use signet_identity::Clock;
use signet_runtime::SystemClock;
use tokio::select;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::journal::{Journal, PrivateKeys, Pushed};
use super::subscription::{Stream, Subscription, refused};
use super::{SubscriptionFlags, told};
use crate::outcome::Outcome;
use crate::output::{BAD, BOLD, Console, json_precise_moment, json_seconds, precise_moment, span, styled};
use crate::task;

/// What to watch, and how long.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    subscription: SubscriptionFlags,
    /// End after so many secrets
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,
    /// End after this time; with --count that many must have come by then
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    r#for: Option<Duration>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  signet sds watch --token-file ./try/token
  signet sds watch default --token-file token --count 3 --for 2m --output json

Ctrl-C ends it with a sum. Exit code 0: secrets came, and a proxy would take all of them; 1: not so, or the agent
refused the first stream; 3: there was no agent from the beginning. Later it waits for the agent to come back.";

/// What happened.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Push(Box<Pushed>),
    Disconnected {
        #[serde(serialize_with = "json_precise_moment")]
        at: SystemTime,
        reason: String,
        #[serde(rename = "again_in_seconds", serialize_with = "json_seconds")]
        again_in: Duration,
    },
    Connected {
        #[serde(serialize_with = "json_precise_moment")]
        at: SystemTime,
    },
    Sum(Sum),
}

/// All in all.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Sum {
    held: bool,
    secrets: u64,
    concerning: u64,
    streams: u64,
    #[serde(rename = "lasted_seconds", serialize_with = "json_seconds")]
    lasted: Duration,
}

/// A watch that runs.
struct Watcher<'a, 'c> {
    console: &'a mut Console<'c>,
    subscription: Subscription,
    journal: Journal,
    sum: Sum,
    count: Option<u64>,
    wait: Duration,
}

impl Watch {
    pub(super) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        let watcher = Watcher {
            subscription: self.subscription.subscription(),
            console,
            journal: Journal::default(),
            sum: Sum::default(),
            count: self.count,
            wait: FIRST_WAIT,
        };
        task::block_on(|stop| watcher.watch(stop, self.r#for))
    }
}

impl Watcher<'_, '_> {
    async fn watch(mut self, stop: CancellationToken, lasts: Option<Duration>) -> Result<Outcome> {
        let began = Instant::now();
        let over = async {
            match lasts {
                Some(lasts) => sleep_until(began + lasts).await,
                None => std::future::pending().await,
            }
        };
        let ended = select! {
            ended = self.follow() => ended,
            () = over => Ok(()),
            () = stop.cancelled() => Ok(()),
        };
        if let Err(error) = ended {
            return self.never_was(error);
        }
        self.sum.lasted = began.elapsed();
        let enough = self.sum.secrets >= self.count.filter(|_| lasts.is_some()).unwrap_or(1);
        self.sum.held = enough && self.sum.concerning == 0;
        self.console.event(&Event::Sum(self.sum))?;
        Ok(self.sum.held.into())
    }

    /// What was there once is waited for; what never was is an error, or a refusal.
    fn never_was(&mut self, error: anyhow::Error) -> Result<Outcome> {
        let Some(refused) = refused(&error) else { return Err(told(error)) };
        self.console.event(&refused)?;
        Ok(Outcome::NotHeld)
    }

    /// Ends when enough has come, and with an error when nothing ever has.
    async fn follow(&mut self) -> Result<()> {
        let mut stream = self.subscription.open().await?;
        self.sum.streams = 1;
        loop {
            let reason = loop {
                match stream.next().await {
                    Ok(Some(push)) => {
                        self.take(push.secrets)?;
                        if self.count.is_some_and(|count| self.sum.secrets >= count) {
                            return Ok(());
                        }
                    }
                    Ok(None) => break "the agent closed the stream (OK): it wants a fresh token".to_owned(),
                    Err(error) if self.sum.secrets == 0 => return Err(error),
                    Err(error) => break told(error).to_string(),
                }
            };
            stream = self.reopen(reason).await?;
        }
    }

    fn take(&mut self, secrets: Vec<signet_client::sds::PushedSecret>) -> Result<()> {
        self.wait = FIRST_WAIT;
        for pushed in self.journal.take(secrets, PrivateKeys::Hidden, SystemClock.now()) {
            self.sum.secrets += 1;
            self.sum.concerning += u64::from(pushed.is_concerning());
            self.console.event(&Event::Push(Box::new(pushed)))?;
        }
        Ok(())
    }

    /// With a back-off that doubles, and begins anew after a push.
    async fn reopen(&mut self, mut reason: String) -> Result<Stream> {
        loop {
            self.console.event(&Event::Disconnected {
                at: SystemClock.now(),
                reason,
                again_in: self.wait,
            })?;
            sleep(self.wait).await;
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
            match self.subscription.open().await {
                Ok(stream) => {
                    self.sum.streams += 1;
                    self.console.event(&Event::Connected { at: SystemClock.now() })?;
                    return Ok(stream);
                }
                Err(error) => reason = told(error).to_string(),
            }
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Push(pushed) => pushed.fmt(f),
            Self::Disconnected { at, reason, again_in } => {
                writeln!(f, "{} {} {reason}", precise_moment(*at), styled(BAD, "disconnected"))?;
                writeln!(f, "  again in  {}", span(*again_in))
            }
            Self::Connected { at } => {
                writeln!(f, "{} {}", precise_moment(*at), styled(BOLD, "connected again"))
            }
            Self::Sum(Sum { secrets, concerning, streams, lasted, .. }) => {
                write!(f, "\n{secrets} secrets in {} over {streams} streams, ", span(*lasted))?;
                writeln!(f, "{concerning} that a proxy or its peers would not take")
            }
        }
    }
}

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
