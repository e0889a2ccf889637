//! An agent with room for ten thousand streams, before a CA whose certificates last seconds: whatever is pushed is a
//! real renewal, or the root of a real CA that is new.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use signet::{
    load::sds::{Plan, Streams},
    stage::{Ca, CaSettings, NodeAgent, NodeAgentSettings, Stage, poll},
};
use signet_client::{Token, sds::Credential};
use signet_identity::Clock;
use signet_runtime::SystemClock;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    parts::Bench,
    processes::{Core, Watched, pin},
    rsa_issuer::ISSUER,
};

/// How many streams, and whether they share a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) streams: usize,
    pub(crate) sharing: Sharing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// All on one connection.
    Shared,
    /// Each on its own.
    Own,
}

impl Sharing {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Own => "own",
        }
    }

    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Shared => "all on one connection",
            Self::Own => "each on its own connection",
        }
    }
}

/// What streams subscribe to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Secret {
    /// The certificate of one workload, which all of them are.
    Leaf,
    /// The roots.
    Bundle,
}

pub(crate) struct Node<'a> {
    bench: &'a Bench,
    stage: Stage,
    ca: Ca,
    pub(crate) agent: Watched<NodeAgent>,
    tokens: usize,
}

impl<'a> Node<'a> {
    /// Started and at rest, on the servers' core.
    pub(crate) async fn start(bench: &'a Bench, shape: Shape) -> Result<Self> {
        let stage = Stage::set()?;
        let jwks = stage.write("jwks.json", &bench.issuer.jwks().to_string())?;
        pin(Core::Servers)?;
        let mut ca = Ca::start(&stage, &bench.programs, &CaSettings::trusting(LIFETIME, ISSUER, &jwks))?;
        ca.daemon().ready(READY).await?;
        let room = NodeAgentSettings { streams: Some(shape.streams + OTHERS), ..Default::default() };
        let mut agent = NodeAgent::start(&stage, &bench.programs, ca.endpoint()?, &room)?;
        agent.daemon().ready(READY).await?;
        pin(Core::Load)?;
        sleep(Duration::from_secs(1)).await;
        Ok(Self { bench, stage, ca, agent: Watched::of(agent, NodeAgent::daemon), tokens: 0 })
    }

    /// Opens the streams and waits until each has its secret.
    pub(crate) async fn open(&mut self, shape: Shape, secret: Secret) -> Result<Streams> {
        let Shape { streams, sharing } = shape;
        let (name, credentials) = match secret {
            Secret::Leaf => ("default", vec![self.credential()?]),
            Secret::Bundle => ("ROOTCA", vec![]),
        };
        let plan = Plan {
            socket: self.agent.process.socket().to_owned(),
            streams,
            connections: if sharing == Sharing::Shared { 1 } else { streams },
            names: vec![name.to_owned()],
            credentials,
        };
        let opened = Streams::open(plan)?;
        timeout(READY, opened.opened()).await.context("streams that get no secrets")?;
        let ends: Vec<_> = opened.tally().ends().map(|(code, ends)| format!("{code:?}: {ends:?}")).collect();
        ensure!(ends.is_empty(), "streams have ended: {ends:?}");
        Ok(opened)
    }

    /// Drops the streams, and waits until the agent has noticed it.
    pub(crate) async fn close(&mut self, streams: Streams) -> Result<()> {
        drop(streams);
        let agent = self.agent.process.daemon();
        let gone = async || agent.metric("signet_agent_connections").await.is_ok_and(|open| open == 0.0);
        let closed =
            poll::until(Instant::now() + READY, poll::PACE, async || gone().await.then_some(())).await;
        closed.context("the agent does not notice that its peers are gone")
    }

    /// The CA is replaced by one with another root. Returns the stream of a workload that has a certificate from it: that
    /// is how the agent hears of the root.
    pub(crate) async fn replace_ca(&mut self) -> Result<Streams> {
        // The version of a bundle begins with the second in which its CA was made.
        sleep(Duration::from_secs(1)).await;
        self.ca.daemon().stop(READY).await?;
        fs::remove_dir_all(self.ca.state())?;
        pin(Core::Servers)?;
        self.ca.daemon().start_again(&self.stage)?;
        self.ca.daemon().ready(READY).await?;
        pin(Core::Load)?;
        self.open(Shape { streams: 1, sharing: Sharing::Own }, Secret::Leaf).await
    }

    /// When the CA last said "issued", to the millisecond before.
    pub(crate) fn last_issued(&self) -> Result<SystemTime> {
        let log = fs::read_to_string(self.ca.audit_log())?;
        let records = log.lines().rev().map(serde_json::from_str::<Value>);
        let issued = records.flatten().find(|record| record["event"] == "issued");
        let record = issued.context("the CA has issued nothing")?;
        let time = record["time"].as_str().context("an audit record without a time")?;
        Ok(humantime::parse_rfc3339(time)?)
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        self.agent.process.daemon().stop(READY).await?;
        self.ca.daemon().stop(READY).await?;
        Ok(())
    }

    /// A token that was not shown before.
    fn credential(&mut self) -> Result<Credential> {
        self.tokens += 1;
        let now = SystemClock.now().duration_since(UNIX_EPOCH)?.as_secs();
        let token = Token::new(&self.bench.issuer.token(FIRST_TOKEN + self.tokens, now))?;
        Ok(Credential { header: "authorization".to_owned(), token })
    }
}

/// The shortest that the CA allows: a renewal comes every 2 to 3.5 s.
const LIFETIME: Duration = Duration::from_secs(5);
/// Streams beside those that are measured.
const OTHERS: usize = 16;
const READY: Duration = Duration::from_secs(20);
/// Numbers that no other part of the bench uses.
const FIRST_TOKEN: usize = 2_000_000;
