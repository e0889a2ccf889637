//! A push to many SDS streams: how long until it has reached all of them, what it costs the agent, and what a stream
//! weighs.

use std::time::Duration;

use anyhow::{Context, Result};
use signet::load::sds::{Rollout, Streams};
use signet_identity::Clock;
use signet_runtime::{SystemClock, open_files};
use tokio::time::{Instant, timeout};

use crate::{
    node::{Node, Secret, Shape, Sharing},
    parts::Bench,
    report::{Figure, Target},
    usage::{Times, Usage},
};

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    open_files::raise_limit(MANY)?;
    let mut figures = Vec::new();
    for streams in [FEW, MANY] {
        for sharing in [Sharing::Shared, Sharing::Own] {
            let shape = Shape { streams, sharing };
            println!("pushing to {streams} streams, {} ...", sharing.in_words());
            figures.extend(Measured::of(bench, shape).await?.figures(shape));
        }
    }
    Ok(figures)
}

/// What was measured of one shape.
struct Measured {
    leaves: Vec<Push>,
    bundles: Vec<Push>,
    stream_kib: f64,
}

/// One push to all streams.
struct Push {
    /// From the moment when the CA has issued to the moment when the last stream has read.
    took: Duration,
    used: Times,
}

impl Measured {
    async fn of(bench: &Bench, shape: Shape) -> Result<Self> {
        let mut node = Node::start(bench, shape).await?;
        let (usage, at_rest) = (Usage::of(node.agent.id), node.agent.resident_kib()?);
        let streams = node.open(shape, Secret::Leaf).await?;
        let mut leaves = Vec::new();
        for _ in 0..LEAF_PUSHES {
            leaves.push(Push::next(&node, &streams, &usage).await?);
        }
        let stream_kib = (node.agent.resident_kib()? - at_rest) / shape.streams as f64;
        node.close(streams).await?;
        let streams = node.open(shape, Secret::Bundle).await?;
        let mut bundles = Vec::new();
        for _ in 0..BUNDLE_PUSHES {
            let _told = node.replace_ca().await?;
            bundles.push(Push::next(&node, &streams, &usage).await?);
        }
        node.close(streams).await?;
        node.stop().await?;
        Ok(Self { leaves, bundles, stream_kib })
    }

    fn figures(&self, shape: Shape) -> Vec<Figure> {
        let Shape { streams, sharing } = shape;
        let (count, sharing) = (if streams == MANY { "10k" } else { "1k" }, sharing.name());
        let seconds = |pushes: &[Push]| pushes.iter().map(|push| push.took.as_secs_f64()).collect();
        let each = |time: fn(&Times) -> Duration| {
            let micros = |push: &Push| time(&push.used).as_secs_f64() * 1e6 / streams as f64;
            self.leaves.iter().map(micros).collect()
        };
        let push = format!("sds.push_{count}.{sharing}");
        let mut figures = vec![
            Figure::of(format!("{push}_s"), "s", seconds(&self.leaves)).against(SOON),
            Figure::of(format!("sds.bundle_{count}.{sharing}_s"), "s", seconds(&self.bundles)).against(SOON),
            Figure::of(format!("{push}.agent_cpu_us"), "us", each(|used| used.server)),
            Figure::of(format!("{push}.client_cpu_us"), "us", each(|used| used.load)),
        ];
        if streams == MANY {
            let most = if shape.sharing == Sharing::Shared { 15.0 } else { 36.0 };
            let weight = Figure::of(format!("sds.stream_kb.{sharing}"), "KB", vec![self.stream_kib]);
            figures.push(weight.against(Target::Below(most)));
        }
        figures
    }
}

impl Push {
    /// The next one that reaches all of them.
    async fn next(node: &Node<'_>, streams: &Streams, usage: &Usage) -> Result<Self> {
        let Rollout { last, .. } =
            timeout(LONGEST_WAIT, streams.rollout()).await.context("nothing was pushed to all streams")?;
        let issued = ago(SystemClock.now().duration_since(node.last_issued()?)?);
        let used = usage.between(issued, last + SETTLE).await?;
        Ok(Self { took: last - issued, used })
    }
}

fn ago(time: Duration) -> Instant {
    Instant::now() - time
}

const FEW: usize = 1_000;
const MANY: usize = 10_000;
/// A renewal comes every 2 to 3.5 s.
const LEAF_PUSHES: usize = 4;
/// A CA takes as long to be replaced.
const BUNDLE_PUSHES: usize = 3;
const SOON: Target = Target::Below(0.5);
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Within which the agent has read the answers to a push.
const SETTLE: Duration = Duration::from_millis(50);
