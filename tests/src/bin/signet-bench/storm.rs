//! Two thousand agents come back at once, each over a TLS connection of its own, to one core of a CA.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use signet::load::CsrKeys;
use signet_client::{CaClient, CaEndpoint, CaError, IstioCa, Outage, Token};
use signet_node_agent::{Moment, RotationSchedule};
use signet_runtime::SystemClock;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    limit::{Limit, Operation},
    parts::Bench,
    processes::{Audit, Core, ServingCa, pin},
    report::{Figure, Target},
};

const AGENTS: usize = 2_000;
/// For the spread.
const RUNS: usize = 3;
/// After this an agent has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let csrs: Vec<Arc<str>> =
        CsrKeys::EcdsaP256.csrs(&bench.workload()?, 64)?.into_iter().map(Arc::from).collect();
    let limit = Limit::new(&bench.issuer);
    let [mut took, mut of_limit, mut refusals, mut retries, mut silences] = [const { Vec::new() }; 5];
    let mut failed = 0;
    for run in 1..=RUNS {
        println!("{AGENTS} agents come back at once, run {run} of {RUNS} ...");
        let ca = ServingCa::start(bench, Core::Servers, Audit::Written).await?;
        let tokens = bench.tokens(AGENTS)?;
        pin(Core::Servers)?;
        let each = limit.measure(&[Operation::Token, Operation::Csr, Operation::Leaf, Operation::Handshake]);
        pin(Core::Load)?;

        let began = Instant::now();
        let mut agents = JoinSet::new();
        for (token, csr) in tokens.into_iter().zip(csrs.iter().cycle()) {
            agents.spawn(agent(ca.endpoint()?, token, Arc::clone(csr)));
        }
        let ends = agents.join_all().await;
        let seconds = began.elapsed().as_secs_f64();

        let sum = |of: fn(&End) -> u32| f64::from(ends.iter().map(of).sum::<u32>());
        took.push(seconds);
        of_limit.push(each.as_secs_f64() * AGENTS as f64 / seconds);
        refusals.push(sum(|end| end.refusals));
        silences.push(sum(|end| end.silences));
        retries.push(sum(|end| end.refusals + end.silences));
        failed += ends.iter().filter(|end| !end.has_certificate).count();
    }
    let count = |name, samples| Figure::of(name, "count", samples);
    Ok(vec![
        Figure::of("storm.of_limit", "ratio", of_limit),
        Figure::of("storm.2000_agents_s", "s", took),
        count("storm.failed", vec![failed as f64]).against(Target::Below(1.0)),
        count("storm.refusals", refusals),
        count("storm.retries", retries),
        count("storm.not_connected", silences),
    ])
}

/// How it went for one agent.
#[derive(Debug, Default)]
struct End {
    has_certificate: bool,
    /// Answers that sent it away.
    refusals: u32,
    /// Attempts that found no connection, or no answer on it, for 5 s.
    silences: u32,
}

/// The agent's own client, and its own schedule of retries for who has nothing yet.
async fn agent(endpoint: CaEndpoint, token: Token, csr: Arc<str>) -> End {
    let mut end = End::default();
    let Ok(client) = IstioCa::new(endpoint) else { return end };
    let attempts = async {
        let mut schedule = RotationSchedule::starting(Instant::now());
        while let Err(error) = client.issue(&token, &csr, None).await {
            match &error {
                CaError::Unavailable(Outage::Answered(_)) | CaError::Overloaded(_) => end.refusals += 1,
                _ => end.silences += 1,
            }
            let now = Moment::now(&SystemClock);
            schedule.failed(now, fastrand::f64(), error.retry_after().unwrap_or_default());
            sleep(schedule.wait(now)).await;
        }
    };
    let came = timeout(PATIENCE, attempts).await.is_ok();
    End { has_certificate: came, ..end }
}
