//! How long callers wait who know nothing of each other, at shares of what the CA can do at most.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use signet::load::{Connections, CsrKeys, Issuance, Ledger, Requests, Until};

use crate::{
    parts::Bench,
    processes::{Audit, Core, ServingCa},
    report::{Figure, Target},
};

/// Percent of capacity, and how often it is measured: more often the two that we answer for. One measurement is short,
/// so that a stall of the machine (of tens of milliseconds, every few seconds, on a shared one) spoils few of them.
const LOADS: [(u32, usize); 6] = [(10, 3), (30, 9), (50, 3), (65, 3), (80, 9), (90, 3)];
const LASTS: Duration = Duration::from_secs(1);
/// Of how long the capacity is measured before each of them.
const CAPACITY: Duration = Duration::from_millis(300);

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let ca = ServingCa::start(bench, Core::Servers, Audit::Written).await?;
    let load = steady_load(bench, &ca).await?;
    let mut capacities = Vec::new();
    let mut figures = Vec::new();
    let mut failed = 0;
    for (percent, times) in LOADS {
        println!("issuing at {percent} % of capacity, {times} times ...");
        let (mut rates, mut quantiles) = (vec![], [vec![], vec![], vec![], vec![]]);
        for _ in 0..times {
            // Just before, for a machine's speed changes.
            let capacity = capacity(&load, CAPACITY).await?;
            let tally = load.open(capacity * f64::from(percent) / 100.0, LASTS, &Ledger::open()?).await?;
            failed += tally.failed();
            rates.push(tally.rate());
            capacities.push(capacity);
            let times = [0.5, 0.99, 0.999].map(|share| tally.latency.quantile(share));
            let times = times.into_iter().chain([tally.lateness.quantile(0.99)]);
            quantiles.iter_mut().zip(times).for_each(|(all, time)| all.push(time.as_secs_f64() * 1e3));
        }
        let name = |what| format!("issue.open_loop.{percent}.{what}");
        figures.push(Figure::of(name("per_s"), "1/s", rates));
        let names = ["p50_ms", "p99_ms", "p999_ms", "generator_late_p99_ms"];
        figures.extend(names.into_iter().zip(quantiles).map(|(what, of)| Figure::of(name(what), "ms", of)));
    }
    figures.insert(0, Figure::of("issue.capacity_per_s", "1/s", capacities));
    figures
        .push(Figure::of("issue.open_loop.failed", "count", vec![failed as f64]).against(Target::Below(1.0)));
    Ok(figures)
}

/// On 16 connections, as from 16 agents, with one token: minting a new one takes the load generator longer than the CA
/// takes for the rest.
pub(crate) async fn steady_load(bench: &Bench, ca: &ServingCa) -> Result<Arc<Issuance>> {
    let csrs = CsrKeys::EcdsaP256.csrs(&bench.workload()?, 64)?;
    let requests = Requests::new(bench.tokens(1)?, csrs)?;
    let load = Issuance::new(ca.endpoint()?, Connections::Kept(16), requests)?;
    load.warm_up().await?;
    Ok(load)
}

/// Certificates a second, when as many requests are always in flight as the CA works on at once by default.
pub(crate) async fn capacity(load: &Arc<Issuance>, time: Duration) -> Result<f64> {
    let tally = load.closed(16, Until::Passed(time), &Ledger::open()?).await;
    ensure!(tally.failed() == 0, "refused below capacity: {:?}", tally.first_failure);
    Ok(tally.rate())
}
