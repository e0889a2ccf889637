//! Issuance end to end, over TLS and gRPC with the audit on, against the limit.

use std::{iter, time::Duration};

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use signet_client::{CaClient, IstioCa, Token};
use signet_identity::{CertificateRequest, Clock, PrivateKey, SpiffeId};
use signet_runtime::SystemClock;

use crate::{
    limit::Limit,
    processes::{Core, Running, pin},
    report::{Figure, Target},
    rsa_issuer::RsaIssuer,
};

/// Rounds of everything, so that the noise of the machine is seen and not believed.
const ROUNDS: usize = 5;
/// Certificates a round and kind of token.
const CERTIFICATES: usize = 6_000;
/// Requests in flight on the one connection: as a node agent after an outage.
const IN_FLIGHT: usize = 64;

pub(crate) async fn measure(running: &Running, issuer: &RsaIssuer) -> Result<Vec<Figure>> {
    println!("minting {} RS256 tokens, a new one for each certificate ...", (ROUNDS + 1) * CERTIFICATES);
    let now = SystemClock.now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let mint = |number| Token::new(&issuer.token(number, now)).expect("a token of ours");
    let (repeated, mut new) = (mint(0), (1..).map(mint));
    let csrs = csrs()?;
    pin(Core::Load)?;
    let client = IstioCa::new(running.ca.process.endpoint()?)?;
    let limit = Limit::new(issuer);
    issue(&client, iter::repeat_n(repeated.clone(), CERTIFICATES).collect(), &csrs).await?;
    let (mut limits, mut with_repeated, mut with_new) = (vec![], vec![], vec![]);
    for round in 1..=ROUNDS {
        println!("issuing, round {round} of {ROUNDS} ...");
        limits.push(on_the_servers_core(&limit)?);
        let tokens = iter::repeat_n(repeated.clone(), CERTIFICATES).collect();
        with_repeated.push(cpu_each(running, &client, tokens, &csrs).await?);
        let tokens = new.by_ref().take(CERTIFICATES).collect();
        with_new.push(cpu_each(running, &client, tokens, &csrs).await?);
    }
    let of_limit = |each: &[Duration]| {
        limits.iter().zip(each).map(|(limit, each)| limit.as_secs_f64() / each.as_secs_f64()).collect()
    };
    let micros = |each: &[Duration]| each.iter().map(|each| each.as_secs_f64() * 1e6).collect();
    Ok(vec![
        Figure::of("issue.repeated_tokens.of_limit", "ratio", of_limit(&with_repeated))
            .against(Target::AtLeast(0.85)),
        Figure::of("issue.new_tokens.of_limit", "ratio", of_limit(&with_new)).against(Target::AtLeast(0.70)),
        Figure::of("issue.crypto_limit.cpu_us", "us", micros(&limits)),
        Figure::of("issue.repeated_tokens.cpu_us", "us", micros(&with_repeated)),
        Figure::of("issue.new_tokens.cpu_us", "us", micros(&with_new)),
    ])
}

/// The limit where the server runs: cores of one machine differ.
fn on_the_servers_core(limit: &Limit) -> Result<Duration> {
    pin(Core::Servers)?;
    let measured = limit.measure();
    pin(Core::Load)?;
    Ok(measured)
}

/// The server's CPU time for each of the certificates.
async fn cpu_each(
    running: &Running,
    client: &IstioCa,
    tokens: Vec<Token>,
    csrs: &[String],
) -> Result<Duration> {
    let count = u32::try_from(tokens.len())?;
    let before = running.ca.cpu()?;
    issue(client, tokens, csrs).await?;
    Ok((running.ca.cpu()? - before) / count)
}

async fn issue(client: &IstioCa, tokens: Vec<Token>, csrs: &[String]) -> Result<()> {
    let requests = tokens.into_iter().zip(csrs.iter().cycle()).map(|(token, csr)| async move {
        client.issue(&token, csr, None).await.context("a certificate was refused")
    });
    stream::iter(requests).buffer_unordered(IN_FLIGHT).try_for_each(|_| async { Ok(()) }).await
}

/// As many CSRs as requests in flight, each with a key of its own.
fn csrs() -> Result<Vec<String>> {
    let workload: SpiffeId = "spiffe://cluster.local/ns/bench/sa/workload".parse()?;
    (0..IN_FLIGHT).map(|_| Ok(CertificateRequest::pem(&PrivateKey::generate()?, &workload)?)).collect()
}
