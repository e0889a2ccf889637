//! Two thousand agents come back at once, each over a TLS connection of its own, to one core of a CA.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use signet::load::CsrKeys;
use signet_client::{CaClient, CaEndpoint, CaError, IstioCa, Outage, Token};
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

/// The agent's own client, and the pauses of an agent whose proxies have nothing yet.
async fn agent(endpoint: CaEndpoint, token: Token, csr: Arc<str>) -> End {
    let mut end = End::default();
    let Ok(client) = IstioCa::new(endpoint) else { return end };
    let attempts = async {
        while let Err(error) = client.issue(&token, &csr, None).await {
            let failures = end.refusals + end.silences;
            match &error {
                CaError::Unavailable(Outage::Answered(_)) | CaError::Overloaded(_) => end.refusals += 1,
                _ => end.silences += 1,
            }
            sleep(pause(failures, fastrand::f64(), error.retry_after())).await;
        }
    };
    let came = timeout(PATIENCE, attempts).await.is_ok();
    End { has_certificate: came, ..end }
}

/// Full jitter, doubling from half a second to five, and what the CA asked for within that, as the agent's schedule has
/// it for who has nothing.
fn pause(failures: u32, jitter: f64, asked: Option<Duration>) -> Duration {
    const LONGEST: Duration = Duration::from_secs(5);
    let doubled = Duration::from_millis(500).saturating_mul(1 << failures.min(7)).min(LONGEST);
    let asked = asked.unwrap_or_default().min(LONGEST);
    doubled.mul_f64(jitter).max(asked).max(Duration::from_millis(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_waits_as_long_as_it_was_asked_to_and_longer_after_each_failure() {
        let second = Duration::from_secs(1);
        for (failures, jitter, asked, pause_of) in [
            (0, 0.0, None, Duration::from_millis(100)),
            (0, 1.0, None, Duration::from_millis(500)),
            (3, 1.0, None, 4 * second),
            (40, 1.0, None, 5 * second),
            (0, 1.0, Some(2 * second), 2 * second),
            (0, 1.0, Some(60 * second), 5 * second),
        ] {
            assert_eq!(pause(failures, jitter, asked), pause_of, "{failures} {jitter} {asked:?}");
        }
    }
}
