//! What a CA still does that is asked for twice of what it can do.

use std::time::Duration;

use anyhow::Result;
use signet::load::{Connections, CsrKeys, Issuance, Ledger, Requests, Until};

use crate::{
    latency::{capacity, steady_load},
    parts::Bench,
    processes::{Audit, Core, ServingCa},
    report::{Figure, Target},
};

/// For the spread.
const RUNS: usize = 3;
const LASTS: Duration = Duration::from_secs(3);

/// Clients that do not wait for anybody (the open loop), who must be refused; and clients that ask again when they were
/// answered, whom HTTP/2's limit of streams holds back.
pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let ca = ServingCa::start(bench, Core::Servers, Audit::Written).await?;
    let load = steady_load(bench, &ca).await?;
    let held = Issuance::new(ca.endpoint()?, Connections::Kept(4), requests(bench)?)?;
    held.warm_up().await?;
    let [mut goodput, mut offered, mut answered, mut p99, mut goodput_of_held] = [const { Vec::new() }; 5];
    let (mut refusals, mut with_retry_delay, mut timed_out, mut otherwise_failed) = (0, 0, 0, 0);
    for run in 1..=RUNS {
        println!("asking for twice the capacity, run {run} of {RUNS} ...");
        let capacity = capacity(&load, Duration::from_secs(1)).await?;
        let tally = load.open(2.0 * capacity, LASTS, &Ledger::open()?).await?;
        goodput.push(tally.rate() / capacity);
        offered.push(tally.lateness.count() as f64 / tally.lasted.as_secs_f64() / capacity);
        p99.push(tally.latency.quantile(0.99).as_secs_f64() * 1e3);
        refusals += tally.refusals();
        with_retry_delay += tally.refused.values().map(|refusals| refusals.with_retry_delay).sum::<u64>();
        timed_out += tally.timed_out;
        otherwise_failed += tally.disconnected + tally.malformed + tally.not_sent;
        answered.push(tally.refusals() as f64 / (tally.refusals() + tally.issued()) as f64);

        let tally = held.closed(HELD, Until::Passed(LASTS), &Ledger::open()?).await;
        goodput_of_held.push(tally.rate() / capacity);
        timed_out += tally.timed_out;
        otherwise_failed += tally.refusals() + tally.disconnected + tally.malformed;
    }
    let name = |what| format!("issue.overload.{what}");
    let retry = if refusals == 0 { 0.0 } else { with_retry_delay as f64 / refusals as f64 };
    Ok(vec![
        Figure::of(name("goodput_of_capacity"), "ratio", goodput).against(Target::AtLeast(0.65)),
        Figure::of(name("held_goodput_of_capacity"), "ratio", goodput_of_held).against(Target::AtLeast(0.9)),
        Figure::of(name("offered_of_capacity"), "ratio", offered),
        Figure::of(name("refused_of_answered"), "ratio", answered),
        Figure::of(name("retry_delay_of_refused"), "ratio", vec![retry]).against(Target::AtLeast(1.0)),
        Figure::of(name("timed_out"), "count", vec![timed_out as f64]).against(Target::Below(1.0)),
        Figure::of(name("otherwise_failed"), "count", vec![otherwise_failed as f64])
            .against(Target::Below(1.0)),
        Figure::of(name("p99_ms"), "ms", p99),
    ])
}

fn requests(bench: &Bench) -> Result<Requests> {
    Requests::new(bench.tokens(1)?, CsrKeys::EcdsaP256.csrs(&bench.workload()?, 64)?)
}

/// In flight on each of four connections: twice what the CA takes on one, so that half of them wait in the client. What
/// it takes on all four, 1,024, fits its queue.
const HELD: usize = 512;
