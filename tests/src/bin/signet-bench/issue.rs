//! Issuance end to end, over TLS and gRPC with the audit on, against the limit.

use std::{iter, time::Duration};

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use signet_client::{CaClient, IstioCa, Token};
use signet_identity::{CertificateRequest, Clock, PrivateKey, SpiffeId};
use signet_runtime::SystemClock;

use crate::{
    limit::Limit,
    parts::Bench,
    processes::{Core, Running, pin},
    report::{Figure, Target},
    rsa_issuer::RsaIssuer,
};

/// Rounds of everything, so that the noise of the machine is seen and not believed.
const ROUNDS: usize = 15;
/// Certificates a round and kind of token: a third of a second, over which a machine's speed hardly changes.
const CERTIFICATES: usize = 2_000;
/// Requests in flight on the one connection: as a node agent after an outage.
const IN_FLIGHT: usize = 64;

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let mut running = Running::start(bench).await?;
    let figures = issuance(&running, &bench.issuer).await?;
    running.stop().await?;
    Ok(figures)
}

async fn issuance(running: &Running, issuer: &RsaIssuer) -> Result<Vec<Figure>> {
    println!("minting {} RS256 tokens, a new one for each certificate ...", ROUNDS * CERTIFICATES);
    let now = SystemClock.now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let mint = |number| Token::new(&issuer.token(number, now)).expect("a token of ours");
    let (repeated, new) = (mint(0), (1..=ROUNDS * CERTIFICATES).map(mint).collect::<Vec<_>>());
    let issuance = Issuance { running, client: IstioCa::new(running.ca.process.endpoint()?)?, csrs: csrs()? };
    let limit = Limit::new(issuer);
    issuance.issue(iter::repeat_n(repeated.clone(), CERTIFICATES).collect()).await?;
    let (mut with_repeated, mut with_new) = (vec![], vec![]);
    for (round, new) in iter::zip(1.., new.chunks(CERTIFICATES)) {
        println!("issuing, round {round} of {ROUNDS} ...");
        with_repeated.push(issuance.beside(&limit, vec![repeated.clone(); CERTIFICATES]).await?);
        with_new.push(issuance.beside(&limit, new.to_vec()).await?);
    }
    Ok(figures(&with_repeated, &with_new))
}

fn figures(with_repeated: &[Sample], with_new: &[Sample]) -> Vec<Figure> {
    let of_limit = |samples: &[Sample]| samples.iter().map(Sample::of_limit).collect();
    let micros = |time: fn(&Sample) -> Duration, samples: &[Sample]| {
        samples.iter().map(|sample| time(sample).as_secs_f64() * 1e6).collect()
    };
    vec![
        Figure::of("issue.repeated_tokens.of_limit", "ratio", of_limit(with_repeated))
            .against(Target::AtLeast(0.85)),
        Figure::of("issue.new_tokens.of_limit", "ratio", of_limit(with_new)).against(Target::AtLeast(0.70)),
        Figure::of("issue.crypto_limit.cpu_us", "us", micros(|sample| sample.limit, with_new)),
        Figure::of("issue.repeated_tokens.cpu_us", "us", micros(|sample| sample.each, with_repeated)),
        Figure::of("issue.new_tokens.cpu_us", "us", micros(|sample| sample.each, with_new)),
    ]
}

/// CPU time of one certificate, and of its cryptography alone just before and after.
struct Sample {
    limit: Duration,
    each: Duration,
}

impl Sample {
    fn of_limit(&self) -> f64 {
        self.limit.as_secs_f64() / self.each.as_secs_f64()
    }
}

struct Issuance<'a> {
    running: &'a Running,
    client: IstioCa,
    csrs: Vec<String>,
}

impl Issuance<'_> {
    /// What these certificates cost the server, beside the limit.
    async fn beside(&self, limit: &Limit, tokens: Vec<Token>) -> Result<Sample> {
        let before = on_the_servers_core(limit)?;
        let each = self.cpu_each(tokens).await?;
        Ok(Sample { limit: (before + on_the_servers_core(limit)?) / 2, each })
    }

    /// The server's CPU time for each of the certificates.
    async fn cpu_each(&self, tokens: Vec<Token>) -> Result<Duration> {
        let count = u32::try_from(tokens.len())?;
        let before = self.running.ca.cpu()?;
        self.issue(tokens).await?;
        Ok((self.running.ca.cpu()? - before) / count)
    }

    async fn issue(&self, tokens: Vec<Token>) -> Result<()> {
        let requests = tokens.into_iter().zip(self.csrs.iter().cycle()).map(|(token, csr)| async move {
            self.client.issue(&token, csr, None).await.context("a certificate was refused")
        });
        stream::iter(requests).buffer_unordered(IN_FLIGHT).try_for_each(|_| async { Ok(()) }).await
    }
}

/// The limit where the server runs: the cores of one machine differ. The other core rests meanwhile, which never
/// flatters the ratio: issuing, it is a quarter busy.
fn on_the_servers_core(limit: &Limit) -> Result<Duration> {
    pin(Core::Servers)?;
    let measured = limit.measure();
    pin(Core::Load)?;
    Ok(measured)
}

/// As many CSRs as requests in flight, each with a key of its own.
fn csrs() -> Result<Vec<String>> {
    let workload: SpiffeId = "spiffe://cluster.local/ns/bench/sa/workload".parse()?;
    (0..IN_FLIGHT).map(|_| Ok(CertificateRequest::pem(&PrivateKey::generate()?, &workload)?)).collect()
}
