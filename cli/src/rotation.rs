//! `signet rotation test`: connections all the while that certificates change, and whether any of them was harmed.

mod endpoint;
mod handshake;
mod held;
mod ledger;
mod source;
mod sum;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use signet_identity::SpiffeId;
use tokio::select;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::flags::{AgentFlags, TlsAddress};
use crate::outcome::{Outcome, Usage};
use crate::output::{Console, Progress, span};
use crate::sds::{Subscription, Variant, told};
use crate::task;
use endpoint::Endpoint;
use held::Held;
use ledger::Ledger;
use sum::Sum;

/// What can be done about rotations.
#[derive(Debug, Subcommand)]
pub(crate) enum RotationCommand {
    /// Count what certificates that change do to connections that are opened meanwhile
    #[command(after_help = EXAMPLES)]
    Test(Test),
}

/// What to watch, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// A TLS endpoint, as tls://HOST:PORT [default: what the agent gives, proxy to proxy, in memory]
    endpoint: Option<TlsAddress>,
    #[command(flatten)]
    agent: AgentFlags,
    /// End after so many rotations
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    rotations: usize,
    /// The longest that they may take
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    r#for: Duration,
    /// From one connection to the next
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = parse_pace)]
    every: Duration,
    /// Name of the secret with the certificate
    #[arg(long, value_name = "NAME", default_value = "default")]
    certificate: String,
    /// Name of the secret with the roots
    #[arg(long, value_name = "NAME", default_value = "ROOTCA")]
    bundle: String,
    /// PEM certificate chain to show to the endpoint, in place of what the agent gives
    #[arg(long, value_name = "FILE", requires_all = ["endpoint", "key_file", "anchors"])]
    cert_file: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
    /// PEM roots that vouch for the endpoint, in place of what the agent gives
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    anchors: Option<PathBuf>,
    /// The identity that the endpoint must have [default: any that the roots vouch for]
    #[arg(long, value_name = "SPIFFE_ID", requires = "endpoint")]
    expect: Option<SpiffeId>,
}

const EXAMPLES: &str = "\
Examples:
  signet rotation test --token-file ./try/token --rotations 3 --for 2m
  signet rotation test tls://127.0.0.1:8443 --token-file token --every 20ms
  signet rotation test tls://orders.shop.svc:8443 --cert-file chain.pem --key-file key.pem --anchors root-cert.pem

Before a socket, each connection is made in memory: with the newest certificate at both ends and, while the one before
it is valid, with old and new at either end. Exit code 0: all rotations came and no connection failed; 1: not so; 3:
there was nothing to watch.";

impl RotationCommand {
    /// Does it.
    pub(crate) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        let Self::Test(test) = self;
        task::block_on(|stop| test.run(stop, console))
    }
}

impl Test {
    async fn run(self, stop: CancellationToken, console: &mut Console<'_>) -> Result<Outcome> {
        let began = Instant::now();
        let Some(begun) = stop.run_until_cancelled(self.begin()).await else {
            bail!("interrupted before it began")
        };
        let (held, mut endpoint) = begun?;
        let progress = console.progress("connections", None);
        let mut run = Run { held, ledger: Ledger::default(), console, progress, wanted: self.rotations };
        let over = began + self.r#for;
        select! {
            ended = run.until_rotated(endpoint.as_mut(), self.every) => ended?,
            () = tokio::time::sleep_until(over) => {}
            () = stop.cancelled() => {}
        }
        let Run { ledger, console, progress, .. } = run;
        drop(progress);
        let sum = Sum::of(ledger.close(), self.rotations, began.elapsed());
        console.event(&sum)?;
        Ok(sum.held().into())
    }

    /// The first secrets and, of an endpoint, the first connection.
    async fn begin(&self) -> Result<(Held, Option<Endpoint>)> {
        let held = self.held().await.map_err(told)?;
        let endpoint = match &self.endpoint {
            Some(address) => Some(Endpoint::reach(address, self.expect.clone(), &held).await?),
            None => None,
        };
        Ok((held, endpoint))
    }

    /// The first certificate and roots: of files, or of the agent.
    async fn held(&self) -> Result<Held> {
        if let (Some(chain), Some(key), Some(anchors)) = (&self.cert_file, &self.key_file, &self.anchors) {
            return Held::of_files(chain, key, anchors);
        }
        let names = vec![self.certificate.clone(), self.bundle.clone()];
        let subscription = Subscription::new(self.agent.clone(), names, Variant::StateOfTheWorld);
        let first = Held::of_agent(subscription, self.anchors.as_deref());
        timeout(FIRST_SECRETS, first).await.unwrap_or_else(|_| {
            Err(anyhow!(
                "the agent gave no certificate and roots within {}: its log and its /readyz tell why",
                span(FIRST_SECRETS)
            ))
        })
    }
}

/// A test that runs.
struct Run<'a, 'c> {
    held: Held,
    ledger: Ledger,
    console: &'a mut Console<'c>,
    progress: Progress,
    wanted: usize,
}

impl Run<'_, '_> {
    /// Opens connections until all rotations have come, and a moment longer, for what breaks then.
    async fn until_rotated(&mut self, mut endpoint: Option<&mut Endpoint>, every: Duration) -> Result<()> {
        let mut pace = interval(every);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut enough = None;
        while enough.is_none_or(|enough| Instant::now() < enough) {
            select! {
                changed = self.held.changed() => {
                    if endpoint.is_none() && let Some(rotation) = changed? {
                        self.ledger.rotated(rotation);
                        self.tell_last_rotation()?;
                    }
                }
                _ = pace.tick() => match endpoint.as_deref_mut() {
                    Some(endpoint) => self.connect(endpoint).await?,
                    None => self.held.meet(&mut self.ledger),
                },
            }
            self.progress.at(self.ledger.handshakes());
            if enough.is_none() && self.ledger.rotations() >= self.wanted {
                enough = Some(Instant::now() + SETTLED);
            }
        }
        Ok(())
    }

    async fn connect(&mut self, endpoint: &mut Endpoint) -> Result<()> {
        if endpoint.connect(&self.held, &mut self.ledger).await {
            self.tell_last_rotation()?;
        }
        Ok(())
    }

    fn tell_last_rotation(&mut self) -> Result<()> {
        let rotation = self.ledger.last_rotation().context("a rotation was noted")?;
        Ok(self.console.event(&sum::Event::Rotation(rotation))?)
    }
}

fn parse_pace(text: &str) -> Result<Duration> {
    let pace = humantime::parse_duration(text)?;
    if pace < Duration::from_millis(1) {
        return Err(Usage(
            "a connection in less than a millisecond is no test but a load: give 1ms or more".to_owned(),
        )
        .into());
    }
    Ok(pace)
}

/// An agent whose CA is there answers within milliseconds.
const FIRST_SECRETS: Duration = Duration::from_secs(10);
/// What a late peer does with the certificate before the last.
const SETTLED: Duration = Duration::from_secs(1);
