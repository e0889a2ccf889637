//! Waiting for what an outage of Vault does.

use std::time::Duration;

use anyhow::{Result, ensure};
use signet::stage::Mesh;
use signet_tests::traffic::Traffic;
use tokio::time::Instant;

/// Between one look and the next.
const LOOK: Duration = Duration::from_millis(100);

/// Until a renewal was due and brought no certificate, which it is within the life of a leaf.
pub(super) async fn until_a_renewal_fails(
    mesh: &mut Mesh,
    traffic: &mut Traffic,
    leaf: Duration,
) -> Result<()> {
    let (before, limit) = (failed_renewals(mesh).await?, Instant::now() + leaf);
    while failed_renewals(mesh).await? <= before {
        ensure!(Instant::now() < limit, "no renewal failed");
        traffic.until(Instant::now() + LOOK).await?;
    }
    Ok(())
}

async fn failed_renewals(mesh: &mut Mesh) -> Result<f64> {
    let agent = mesh.agent.daemon();
    let all = agent.metric("signet_agent_renewals_total").await?;
    Ok(all - agent.metric("signet_agent_renewals_total{outcome=\"issued\"}").await?)
}
