//! A cold proxy: from its first request to its certificate, while the agent's connection to the CA is warm.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use signet_client::Token;
use signet_client::sds::{Credential, SdsClient};
use signet_identity::Clock;
use signet_runtime::SystemClock;
use tokio::time::Instant;

use crate::{
    parts::Bench,
    processes::Running,
    report::{Figure, Target},
    rsa_issuer::RsaIssuer,
};

/// Runs of requests, for the spread.
const RUNS: usize = 5;
/// Cold requests a run.
const REQUESTS: usize = 200;

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let running = Running::start(bench).await?;
    cold_requests(&running, &bench.issuer).await
}

async fn cold_requests(running: &Running, issuer: &RsaIssuer) -> Result<Vec<Figure>> {
    println!("asking for {} certificates over SDS, each with a token never seen ...", RUNS * REQUESTS);
    let now = SystemClock.now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let client = SdsClient::connect(running.agent.process.socket()).await?;
    let (mut medians, mut tails) = (vec![], vec![]);
    for run in 0..RUNS {
        let mut times = vec![];
        for request in 0..REQUESTS {
            let token = issuer.token(1_000_000 + run * REQUESTS + request, now);
            times.push(cold(&client, &token).await?.as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        medians.push(times[REQUESTS / 2]);
        tails.push(times[REQUESTS * 99 / 100]);
    }
    Ok(vec![
        Figure::of("sds.cold_request.p50_ms", "ms", medians).against(Target::Below(3.0)),
        Figure::of("sds.cold_request.p99_ms", "ms", tails),
    ])
}

async fn cold(client: &SdsClient, token: &str) -> Result<Duration> {
    let credential = Credential { header: "authorization".to_owned(), token: Token::new(token)? };
    let start = Instant::now();
    let mut stream = client.stream(&["default"], &[credential]).await?;
    let push = stream.next().await?.context("the agent closed the stream")?;
    let took = start.elapsed();
    ensure!(!push.secrets.is_empty(), "an empty push");
    Ok(took)
}
