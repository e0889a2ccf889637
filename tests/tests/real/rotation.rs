//! Certificates are renewed by proxies that come back with a fresh token, and no request notices.

use std::time::Duration;

use anyhow::{Result, ensure};
use signet::stage::envoy::SdsVariant;
use signet::stage::{Mesh, Plan, Programs, TokenPath};
use signet_tests::alone;
use signet_tests::traffic::Traffic;

#[test]
fn twenty_rotations_by_state_of_the_world_fail_no_request() {
    alone(Duration::from_secs(90), async |programs| rotate(programs, SdsVariant::StateOfTheWorld, 10).await);
}

#[test]
fn rotations_by_delta_fail_no_request() {
    alone(Duration::from_secs(60), async |programs| rotate(programs, SdsVariant::Delta, 3).await);
}

/// Certificates of 8 s are renewed after 3.2 s at the earliest, when the token that fetched them is dead for more
/// than a second: each renewal goes by a closed stream and a fresh token, as with tokens of 1 h and certificates
/// of 24 h.
async fn rotate(programs: &Programs, variant: SdsVariant, rotations_each: usize) -> Result<()> {
    let plan = Plan {
        leaf_lifetime: Duration::from_secs(8),
        token_lifetime: Duration::from_secs(2),
        new_token_every: Some(Duration::from_millis(700)),
        frontend_token: TokenPath::Volume,
        variant,
    };
    let mut mesh = Mesh::raise(programs, &plan).await?;
    let recalls_before = recalls(&mut mesh).await?;

    let mut traffic = Traffic::through(&mesh).await?;
    traffic.until_each_has_rotated(rotations_each, Duration::from_secs(75)).await?;
    let rotations = traffic.rotations();
    traffic.must_be_unharmed().await?;

    let recalls = recalls(&mut mesh).await? - recalls_before;
    ensure!(recalls >= rotations as f64, "{rotations} rotations, but only {recalls} closed streams");
    Ok(())
}

async fn recalls(mesh: &mut Mesh) -> Result<f64> {
    mesh.agent.daemon().metric("signet_agent_recalls_total").await
}
