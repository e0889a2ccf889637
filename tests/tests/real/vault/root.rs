//! The root of the PKI is rotated while Vault signs each leaf.

use std::time::Duration;

use anyhow::{Context, ensure};
use signet::stage::{Ca, CaSettings, SignedBy};
use signet_tests::alone;
use signet_tests::issuing::Requester;
use tokio::time::{Instant, sleep};

use super::{HOUR, START, Scene};

/// From the new root in the bundle to the first leaf under it.
const OVERLAP: Duration = Duration::from_secs(3);

/// The CA looks every 30 s who signs at Vault.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(90);

#[test]
fn a_rotated_root_is_in_the_bundle_before_any_leaf_is_under_it() {
    alone(async |programs| {
        let Scene { openbao, issuer, stage } = Scene::set().await?;
        let access = openbao.accept_jwt(&stage, &issuer, HOUR).await?.with("issuer", "default");
        let settings =
            CaSettings::new(HOUR, &issuer).signed_by(SignedBy::Vault(access)).with_overlap(OVERLAP);
        let mut ca = Ca::start(&stage, programs, &settings)?;
        ca.daemon().ready(START).await?;
        let requester = Requester::before(&ca, &issuer)?;
        let mut before = requester.ask().await?;
        let first = before.bundle.clone();
        openbao.rotate_root("root-2").await?;
        let (mut both, limit) = (false, Instant::now() + FOLLOWED_WITHIN);
        loop {
            ensure!(Instant::now() < limit, "no leaf under the new root");
            let next = requester.ask().await.context("refused meanwhile")?;
            both |= next.bundle.authorities().len() == 2;
            // Whoever has what came with the last leaf believes this one.
            requester.verify_by(&next, &before.bundle).context("under the bundle of the leaf before")?;
            if requester.verify_by(&next, &first).is_err() {
                break;
            }
            before = next;
            sleep(Duration::from_millis(100)).await;
        }
        ensure!(both, "the new root was never in the bundle beside the old one");
        Ok(())
    });
}
