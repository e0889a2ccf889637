//! Something goes away under load and comes back: traffic does not notice, and certificates go on being renewed.

use std::time::Duration;

use anyhow::{Result, ensure};
use signet::stage::envoy::SdsVariant;
use signet::stage::{Mesh, Plan, TokenPath};
use signet_tests::alone;
use signet_tests::traffic::Traffic;
use tokio::time::Instant;

/// How long something is away. At the latest moment of its renewal a certificate has 6 s left: what starts again has
/// the rest of them on a busy machine.
const AWAY: Duration = Duration::from_millis(1500);

/// Between one look at what happens in an outage and the next.
const LOOK: Duration = Duration::from_millis(100);

#[test]
fn the_agent_is_killed_and_started_again() {
    alone(async |programs| {
        let mut mesh = Mesh::raise(programs, &PLAN).await?;
        let mut traffic = Traffic::through(&mesh).await?;
        mesh.agent.daemon().kill()?;
        traffic.until(Instant::now() + AWAY).await?;
        mesh.agent.daemon().start_again(&mesh.stage)?;
        go_on(traffic).await
    });
}

#[test]
fn the_ca_is_killed_and_started_again() {
    alone(async |programs| {
        // The agent has a token for `frontend` at any time, and asks when renewal is due. For `orders` it has a dead one,
        // and waits for the CA before it asks the proxy to come back with another. They are due after 12 to 21 s, so
        // that a busy machine has 9 s at least to start a CA.
        let leaf_lifetime = Duration::from_secs(30);
        let plan = Plan { leaf_lifetime, frontend_token: TokenPath::Agent, ..PLAN };
        let mut mesh = Mesh::raise(programs, &plan).await?;
        let mut traffic = Traffic::through(&mesh).await?;
        let before = renewals_without_a_ca(&mut mesh).await?;
        mesh.ca.daemon().kill()?;
        let limit = Instant::now() + leaf_lifetime;
        while renewals_without_a_ca(&mut mesh).await? <= before {
            ensure!(Instant::now() < limit, "nobody wanted the CA while it was away");
            traffic.until(Instant::now() + LOOK).await?;
        }
        mesh.ca.daemon().start_again(&mesh.stage)?;
        traffic.until_each_has_rotated(1).await?;
        traffic.must_be_unharmed().await
    });
}

#[test]
fn a_token_is_replaced_while_it_is_still_good() {
    alone(async |programs| {
        let plan = Plan { token_lifetime: Duration::from_secs(600), new_token_every: None, ..PLAN };
        let mesh = Mesh::raise(programs, &plan).await?;
        let mut traffic = Traffic::through(&mesh).await?;
        traffic.until(Instant::now() + AWAY).await?;
        for workload in [&mesh.workloads.frontend, &mesh.workloads.orders] {
            workload.renew_token()?;
        }
        go_on(traffic).await
    });
}

/// Renewals that were due and failed because the CA could not be had.
async fn renewals_without_a_ca(mesh: &mut Mesh) -> Result<f64> {
    mesh.agent.daemon().metric("signet_agent_renewals_total{outcome=\"unavailable\"}").await
}

/// Until both certificates have been renewed twice more. One renewal may be what the outage itself caused.
async fn go_on(mut traffic: Traffic) -> Result<()> {
    traffic.until_each_has_rotated(2).await?;
    traffic.must_be_unharmed().await
}

const PLAN: Plan = Plan {
    leaf_lifetime: Duration::from_secs(20),
    token_lifetime: Duration::from_secs(5),
    new_token_every: Some(Duration::from_secs(1)),
    frontend_token: TokenPath::Volume,
    variant: SdsVariant::StateOfTheWorld,
};
