//! A proxy that shows no token, on a socket whose workload's token the agent reads.

use std::time::Duration;

use anyhow::ensure;
use signet::stage::envoy::SdsVariant;
use signet::stage::{Mesh, Plan, TokenPath};
use signet_tests::alone;
use signet_tests::traffic::Traffic;

/// The first token is dead when renewal is due, after 4.8 s at the earliest: each renewal goes by the token that has
/// taken its place in the volume, as the kubelet replaces it, and by the streams that were there before.
#[test]
fn its_certificate_is_renewed_by_the_newest_token_in_the_volume_without_a_new_stream() {
    alone(async |programs| {
        let plan = Plan {
            leaf_lifetime: Duration::from_secs(12),
            token_lifetime: Duration::from_secs(4),
            new_token_every: Some(Duration::from_secs(1)),
            frontend_token: TokenPath::Agent,
            variant: SdsVariant::StateOfTheWorld,
        };
        let mesh = Mesh::raise(programs, &plan).await?;
        let mut traffic = Traffic::through(&mesh).await?;
        traffic.until_each_has_rotated(3).await?;
        let (envoy, workload) = (mesh.client.admin(), mesh.workloads.frontend.name());
        let again = envoy.sds_streams_again(workload).await?;
        ensure!(envoy.sds_streams(workload).await? > 0, "no stream was counted");
        ensure!(again == 0, "{again} streams were closed");
        traffic.must_be_unharmed().await
    });
}
