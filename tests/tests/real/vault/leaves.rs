//! Vault signs each leaf, and goes wrong under load in the ways that it has: no request notices, and certificates go on
//! being renewed.

use std::time::Duration;

use anyhow::{Context, ensure};
use signet::stage::openbao::{PKI_MOUNT, Role, WORKLOAD_ROLE};
use signet::stage::{Plan, SignedBy};
use signet_tests::alone;
use signet_tests::traffic::Traffic;

use super::outage::until_a_renewal_fails;
use super::{HOUR, PLAN, Scene, must_be_strictly_valid};

/// At the latest moment of its renewal a certificate has 5.4 s left: from the first attempt that fails, everything has
/// those to recover in.
const LEAF: Duration = Duration::from_secs(18);

#[test]
fn twenty_rotations_while_vault_goes_wrong_fail_no_request() {
    alone(async |programs| {
        let scene = Scene::set().await?;
        let access = scene.openbao.accept_jwt(&scene.stage, &scene.issuer, HOUR).await?;
        let plan = Plan { leaf_lifetime: LEAF, ..PLAN };
        let (mut mesh, mut openbao) = scene.raise(programs, &plan, SignedBy::Vault(access)).await?;
        must_be_strictly_valid(&mesh, &openbao.root().await?).await?;
        let mut traffic = Traffic::through(&mesh).await?;

        openbao.seal().await?;
        until_a_renewal_fails(&mut mesh, &mut traffic, LEAF).await.context("sealed")?;
        openbao.unseal().await?;
        traffic.until_each_has_rotated(1).await.context("unsealed")?;

        openbao.kill()?;
        until_a_renewal_fails(&mut mesh, &mut traffic, LEAF).await.context("killed")?;
        openbao.start_again(&mesh.stage).await?;
        openbao.unseal().await?;
        traffic.until_each_has_rotated(1).await.context("started again")?;

        let role = Role::for_any_workload()?;
        openbao.set_role(WORKLOAD_ROLE, &role.clone().with("key_type", "rsa").with("key_bits", 2048)).await?;
        until_a_renewal_fails(&mut mesh, &mut traffic, LEAF).await.context("a role for RSA keys")?;
        openbao.set_role(WORKLOAD_ROLE, &role).await?;
        traffic.until_each_has_rotated(1).await.context("the role as it was")?;

        openbao.revoke_logins("jwt").await?;
        traffic.until_each_has_rotated(1).await.context("the token is revoked")?;

        while traffic.rotations().iter().any(|one| one.count() < 10) {
            traffic.until_each_has_rotated(1).await?;
        }
        traffic.must_be_unharmed().await?;
        let logins = openbao.count("auth/jwt/login")?;
        ensure!(logins == 2, "{logins} logins: one at the start, and one when the token was revoked");
        let signed = openbao.count(&format!("{PKI_MOUNT}/sign/{WORKLOAD_ROLE}"))?;
        ensure!(signed >= 20, "Vault was asked for {signed} leaves");
        Ok(())
    });
}
