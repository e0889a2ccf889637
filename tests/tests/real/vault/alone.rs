//! Vault alone signs: each workload logs in by its own token, and no CA runs.

use std::time::Duration;

use anyhow::{Context, ensure};
use signet::stage::{Plan, SignedBy};
use signet_tests::alone;
use signet_tests::faulty::{Fault, FaultyProxy};
use signet_tests::secrets::must_not_be_told;
use signet_tests::traffic::Traffic;
use tokio::time::Instant;

use super::{HOUR, PLAN, Scene, must_be_strictly_valid};

/// At the latest moment of its renewal a certificate has 4.2 s left, for a fault and what follows it.
const LEAF: Duration = Duration::from_secs(14);

/// `vault.timeout`: an answer that is late shall not cost more of what is left than one that is none.
const PATIENCE: &str = "1s";

/// Between one look whether somebody has met a fault and the next.
const LOOK: Duration = Duration::from_millis(100);

#[test]
fn twenty_rotations_with_a_faulty_vault_and_no_ca_fail_no_request() {
    alone(async |programs| {
        let scene = Scene::set().await?;
        let proxy = FaultyProxy::before(scene.openbao.plain_port()).await?;
        let for_the_ca = scene.openbao.accept_jwt(&scene.stage, &scene.issuer, HOUR).await?;
        let for_workloads = scene.openbao.accept_workloads(&scene.issuer, HOUR).await?;
        let plan = Plan { leaf_lifetime: LEAF, ..PLAN };
        let (mut mesh, openbao) = scene.raise(programs, &plan, SignedBy::Vault(for_the_ca)).await?;
        let mut traffic = Traffic::through(&mesh).await?;
        let access = for_workloads.by_way_of(proxy.port()).with("timeout", PATIENCE);
        mesh.turn_to_vault(access, LEAF).await?;
        traffic.until_each_has_rotated(1).await.context("without a CA")?;
        must_be_strictly_valid(&mesh, &openbao.root().await?).await?;
        for fault in [Fault::Late(Duration::from_secs(10)), Fault::HalfAnAnswer, Fault::Reset] {
            let before = proxy.asked("");
            proxy.misbehave("", fault);
            while proxy.asked("") == before {
                traffic.until(Instant::now() + LOOK).await?;
            }
            proxy.behave();
            traffic.until_each_has_rotated(1).await.with_context(|| format!("after {fault:?}"))?;
        }
        while traffic.rotations().iter().any(|one| one.count() < 10) {
            traffic.until_each_has_rotated(1).await?;
        }
        traffic.must_be_unharmed().await?;
        must_not_be_told(&mesh.agent.daemon().process().log()?, &openbao.secrets())?;
        let (logins, revoked) = (openbao.count("auth/jwt/login")?, openbao.count("auth/token/revoke-self")?);
        // The CA's, one for each workload that is there, and what a fault or a release under way may have cost.
        ensure!(logins <= revoked + 8, "{logins} logins, of which {revoked} were revoked");
        Ok(())
    });
}
