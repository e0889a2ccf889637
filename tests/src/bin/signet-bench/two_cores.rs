//! Whether a CA with two cores issues twice of what it does with one.
//!
//! On a machine with two cores, of which the load generator needs a part, throughput cannot say so. What two serving
//! cores could lose is time: waiting for each other's locks by spinning, and caches that move between them. It shows in
//! the CPU time of a certificate, so that is compared, while both cores have no moment of rest: a core that slept on a
//! lock would.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use signet::load::{Issuance, Ledger, Until};
use tokio::time::Instant;

use crate::{
    latency::steady_load,
    parts::Bench,
    processes::{Audit, Core, ServingCa, own_cpu},
    report::{Figure, Target},
};

const ROUNDS: usize = 7;
const CERTIFICATES: u64 = 6_000;
/// On each of the 16 connections, so many that both cores have work while the load generator has its turn.
const IN_FLIGHT: usize = 60;

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let one = ServingCa::start(bench, Core::Servers, Audit::Written).await?;
    let two = ServingCa::start(bench, Core::Both, Audit::Written).await?;
    let (load_on_one, load_on_two) = (steady_load(bench, &one).await?, steady_load(bench, &two).await?);
    let [mut of_one, mut rate_of_one, mut busy] = [const { Vec::new() }; 3];
    for round in 1..=ROUNDS {
        println!("one serving core and two, round {round} of {ROUNDS} ...");
        let (one, two) = (sample(&one, &load_on_one).await?, sample(&two, &load_on_two).await?);
        of_one.push(2.0 * one.server.as_secs_f64() / two.server.as_secs_f64());
        rate_of_one.push(one.lasted.as_secs_f64() / two.lasted.as_secs_f64());
        busy.push((two.server + two.load).as_secs_f64() / two.lasted.as_secs_f64() / 2.0);
    }
    let name = |what| format!("issue.two_cores.{what}");
    Ok(vec![
        Figure::of(name("of_one_by_cpu_time"), "ratio", of_one).against(Target::AtLeast(1.8)),
        Figure::of(name("busy"), "ratio", busy).against(Target::AtLeast(0.9)),
        Figure::of(name("rate_of_one_beside_the_load"), "ratio", rate_of_one),
    ])
}

/// The same number of certificates, and what it took.
struct Sample {
    server: Duration,
    load: Duration,
    lasted: Duration,
}

async fn sample(ca: &ServingCa, load: &Arc<Issuance>) -> Result<Sample> {
    let (server, own, began) = (ca.cpu()?, own_cpu(), Instant::now());
    let tally = load.closed(IN_FLIGHT, Until::Made(CERTIFICATES), &Ledger::open()?).await;
    ensure!(tally.failed() == 0, "a certificate was refused: {:?}", tally.first_failure);
    Ok(Sample { server: ca.cpu()? - server, load: own_cpu() - own, lasted: began.elapsed() })
}
