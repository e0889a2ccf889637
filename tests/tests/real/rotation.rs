//! Certificates are renewed by proxies that come back with a fresh token, and no request notices.

use std::time::Duration;

use anyhow::{Result, ensure};
use signet::stage::envoy::SdsVariant;
use signet::stage::{Mesh, Plan, Programs, TokenPath};
use signet_tests::alone;
use signet_tests::traffic::Traffic;

#[test]
fn twenty_rotations_by_state_of_the_world_fail_no_request() {
    alone(async |programs| rotate(programs, SdsVariant::StateOfTheWorld, 10).await);
}

#[test]
fn rotations_by_delta_fail_no_request() {
    alone(async |programs| rotate(programs, SdsVariant::Delta, 3).await);
}

/// Certificates of 12 s are renewed after 4.8 to 8.4 s, when the token that fetched them is dead: each renewal goes by
/// a closed stream and a fresh token, as with tokens of 1 h and certificates of 24 h. A busy machine may take 3 s for
/// what remains, of the token that is newest and of the certificate.
async fn rotate(programs: &Programs, variant: SdsVariant, rotations_each: usize) -> Result<()> {
    let plan = Plan {
        leaf_lifetime: Duration::from_secs(12),
        token_lifetime: Duration::from_secs(4),
        new_token_every: Some(Duration::from_secs(1)),
        frontend_token: TokenPath::Volume,
        variant,
    };
    let mesh = Mesh::raise(programs, &plan).await?;
    let mut traffic = Traffic::through(&mesh).await?;
    traffic.until_each_has_rotated(rotations_each).await?;
    for one in traffic.rotations() {
        let (rotations, streams) = (one.count(), one.streams().await?);
        ensure!(
            streams + 1 >= rotations as u64,
            "{}: {rotations} rotations by {streams} streams",
            one.workload
        );
    }
    traffic.must_be_unharmed().await
}
