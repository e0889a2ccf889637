//! What a certificate costs the CA, over TLS and gRPC with the audit on, against the limit.

mod scenario;

use std::{iter, rc::Rc};

use anyhow::Result;
use signet::load::{Connections, CsrKeys, Issuance, Requests};

use crate::{
    limit::{
        Limit,
        Operation::{self, Csr, Handshake, Leaf, RsaCsr, Token},
    },
    parts::Bench,
    processes::{Audit, Core, ServingCa},
    report::Figure,
};
use scenario::Scenario;

/// Rounds of everything, so that the noise of the machine is seen and not believed.
const ROUNDS: usize = 11;

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let plain = Rc::new(ServingCa::start(bench, Core::Servers, Audit::Written).await?);
    let durable = Rc::new(ServingCa::start(bench, Core::Servers, Audit::OnDisk).await?);
    let mut scenarios = scenarios(bench, &plain, &durable)?;
    let limit = Limit::new(&bench.issuer);
    for scenario in &scenarios {
        scenario.warm_up().await?;
    }
    for round in 1..=ROUNDS {
        println!("issuing, round {round} of {ROUNDS} ...");
        for scenario in &mut scenarios {
            scenario.sample(&limit).await?;
        }
    }
    let [repeated, .., durable] = scenarios.as_slice() else { unreachable!("there are several") };
    let relations = [strictly_of_limit(repeated), rate_of("issue.fsync.rate_of_without", durable, repeated)];
    Ok(relations.into_iter().chain(scenarios.iter().flat_map(Scenario::figures)).collect())
}

/// All of them, the plain one first and the one with `fsync`, which is compared with it, last.
fn scenarios(bench: &Bench, plain: &Rc<ServingCa>, durable: &Rc<ServingCa>) -> Result<Vec<Scenario>> {
    let p256 = CsrKeys::EcdsaP256.csrs(&bench.workload()?, 64)?;
    let rsa = CsrKeys::Rsa2048.csrs(&bench.workload()?, 4)?;
    let repeated = bench.tokens(1)?;
    let new = |count: usize| bench.tokens(count * (ROUNDS + 1));
    let on = |ca: &Rc<ServingCa>, connections, tokens: &[_], csrs: &[_]| {
        let requests = Requests::new(tokens.to_vec(), csrs.to_vec())?;
        Ok::<_, anyhow::Error>((Rc::clone(ca), Issuance::new(ca.endpoint()?, connections, requests)?))
    };
    let one = Connections::Kept(1);
    let scenario = |name, (ca, load), in_flight, count, operations| Scenario {
        name,
        ca,
        load,
        in_flight,
        count,
        operations,
        aim: None,
        samples: Vec::new(),
    };
    const PLAIN: &[Operation] = &[Token, Csr, Leaf];
    Ok(vec![
        scenario("repeated_tokens", on(plain, one, &repeated, &p256)?, 64, 1500, PLAIN).aiming_at(0.90),
        scenario("new_tokens", on(plain, one, &new(1500)?, &p256)?, 64, 1500, PLAIN).aiming_at(0.75),
        scenario(
            "fresh_tls",
            on(plain, Connections::Fresh, &new(400)?, &p256)?,
            8,
            400,
            &[Token, Csr, Leaf, Handshake],
        )
        .aiming_at(0.50),
        scenario("connections_64", on(plain, Connections::Kept(64), &repeated, &p256)?, 1, 1000, PLAIN),
        scenario("one_at_a_time", on(plain, one, &repeated, &p256)?, 1, 500, PLAIN),
        scenario("rsa_csr", on(plain, one, &repeated, &rsa)?, 64, 1500, &[Token, RsaCsr, Leaf]),
        scenario("fsync", on(durable, one, &repeated, &p256)?, 64, 1000, PLAIN),
    ])
}

/// Repeated tokens once more, against a limit without what the CA does not repeat.
fn strictly_of_limit(repeated: &Scenario) -> Figure {
    let shares = repeated
        .samples
        .iter()
        .map(|sample| sample.limit_without_token.as_secs_f64() / sample.each.as_secs_f64());
    Figure::of("issue.repeated_tokens.of_limit_without_token", "ratio", shares.collect())
}

/// Certificates a second of one scenario in parts of another's, round by round.
fn rate_of(name: &str, one: &Scenario, other: &Scenario) -> Figure {
    let pairs = iter::zip(&one.samples, &other.samples);
    Figure::of(name, "ratio", pairs.map(|(one, other)| one.rate / other.rate).collect())
}
