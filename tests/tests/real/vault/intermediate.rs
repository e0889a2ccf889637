//! The CA signs by an intermediate of Vault's.

use std::time::Duration;

use anyhow::{Context, ensure};
use signet::stage::openbao::PKI_MOUNT;
use signet::stage::{Plan, SignedBy};
use signet_tests::alone;
use signet_tests::traffic::Traffic;
use tokio::time::Instant;

use super::{HOUR, PLAN, Scene, must_be_strictly_valid};

/// Renewed after 4 to 7 s.
const LEAF: Duration = Duration::from_secs(10);

/// The CA looks every 30 s which issuer signs at Vault, and a new root travels for as long as a leaf lives; then a leaf
/// has to be renewed.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(120);

#[test]
fn twenty_rotations_need_no_vault_and_follow_it_to_another_root() {
    alone(async |programs| {
        let scene = Scene::set().await?;
        let access = scene.openbao.accept_jwt(&scene.stage, &scene.issuer, HOUR).await?;
        let plan = Plan { leaf_lifetime: LEAF, ..PLAN };
        let signed_by = SignedBy::VaultIntermediate(access.with("intermediate_lifetime", "1h"));
        let (mesh, mut openbao) = scene.raise(programs, &plan, signed_by).await?;
        must_be_strictly_valid(&mesh, &openbao.root().await?).await?;
        let mut traffic = Traffic::through(&mesh).await?;

        openbao.kill()?;
        traffic.until_each_has_rotated(3).await.context("without Vault")?;

        openbao.start_again(&mesh.stage).await?;
        openbao.unseal().await?;
        openbao.rotate_root("root-2").await?;
        let (root, limit) = (openbao.root().await?, Instant::now() + FOLLOWED_WITHIN);
        while let Err(error) = must_be_strictly_valid(&mesh, &root).await {
            ensure!(Instant::now() < limit, "not under the new root: {error:#}");
            traffic.until_each_has_rotated(1).await?;
        }
        while traffic.rotations().iter().any(|one| one.count() < 10) {
            traffic.until_each_has_rotated(1).await?;
        }
        traffic.must_be_unharmed().await?;
        let signed = openbao.count(&format!("{PKI_MOUNT}/issuer/default/sign-intermediate"))?;
        let leaves = openbao.asked()?.iter().filter(|asked| asked.path.contains("/sign/")).count();
        ensure!((signed, leaves) == (2, 0), "Vault signed {signed} intermediates and {leaves} leaves");
        Ok(())
    });
}
