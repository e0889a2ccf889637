//! A proxy whose token never changes.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use signet::stage::envoy::SdsVariant;
use signet::stage::{Mesh, Plan, TokenPath, http};
use signet_identity::Clock;
use signet_runtime::SystemClock;
use signet_tests::alone;
use signet_tests::traffic::Traffic;
use tokio::time::{Instant, sleep_until};

/// Long enough for the start of a proxy and its first certificate on a busy machine.
const TOKEN: Duration = Duration::from_secs(8);

/// Its renewal is due after 8 s at the earliest, when the token is dead; the rest is long enough for several attempts.
const LEAF: Duration = Duration::from_secs(20);

/// Streams that a proxy may open anew in the life of its first certificate. Without back-off, and
/// with the proxies' own of 0.1 to 1 s, it would be a dozen and more.
const FEW: u64 = 6;

#[test]
fn its_certificate_serves_to_the_end_and_its_streams_are_closed_less_and_less_often() {
    alone(async |programs| {
        let plan = Plan {
            leaf_lifetime: LEAF,
            token_lifetime: TOKEN,
            new_token_every: Some(Duration::from_secs(1)),
            frontend_token: TokenPath::StaticHeader,
            variant: SdsVariant::StateOfTheWorld,
        };
        let mesh = Mesh::raise(programs, &plan).await?;
        let mut traffic = Traffic::through(&mesh).await?;
        let before = streams_again(&mesh).await?;
        // From here on nothing can be had for the token; what is held was issued before.
        traffic.until(Instant::now() + TOKEN).await?;
        let end = end_of_the_certificate(&mesh).await?;

        traffic.until(end - Duration::from_secs(1)).await?;
        traffic.must_be_unharmed_before(end).await?;
        let opened = streams_again(&mesh).await? - before;
        ensure!((1..=FEW).contains(&opened), "{opened} streams were opened with the dead token");

        sleep_until(end + Duration::from_secs(1)).await;
        let answer = http::get(mesh.doors.frontend, "/").await?;
        ensure!(answer.status.is_server_error(), "a certificate came from nowhere: {answer:?}");
        Ok(())
    });
}

/// SDS streams that `frontend`'s proxy has opened anew so far.
async fn streams_again(mesh: &Mesh) -> Result<u64> {
    mesh.client.admin().sds_streams_again(mesh.workloads.frontend.name()).await
}

async fn end_of_the_certificate(mesh: &Mesh) -> Result<Instant> {
    let name = "cluster.frontend.ssl.certificate.default.expiration_unix_time_seconds";
    let end = mesh.client.admin().statistic(name).await?;
    let end = UNIX_EPOCH + Duration::from_secs(end);
    let left = end.duration_since(SystemClock.now()).context("the certificate is over already")?;
    Ok(Instant::now() + left)
}
