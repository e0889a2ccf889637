//! What Envoy serves is what was pushed, and what was pushed pleases others than ourselves.

use std::time::Duration;

use anyhow::{Context, ensure};
use signet::stage::envoy::SdsVariant;
use signet::stage::{Mesh, Plan, TokenPath};
use signet_tests::pushed::Pushed;
use signet_tests::{alone, openssl};

const PLAN: Plan = Plan {
    leaf_lifetime: Duration::from_secs(600),
    token_lifetime: Duration::from_secs(600),
    new_token_every: None,
    frontend_token: TokenPath::Volume,
    variant: SdsVariant::StateOfTheWorld,
};

#[test]
fn envoy_serves_the_certificate_and_trusts_the_roots_that_were_pushed() {
    alone(async |programs| {
        let mesh = Mesh::raise(programs, &PLAN).await?;
        for (workload, envoy) in
            [(&mesh.workloads.frontend, mesh.client.admin()), (&mesh.workloads.orders, mesh.server.admin())]
        {
            let pushed = Pushed::to(&mesh, workload).await?;
            let served = envoy.serial_of(workload.identity().as_str()).await?.context("nothing is served")?;
            ensure!(served == openssl::serial(&mesh.stage, &pushed.chain)?, "another certificate is served");
            let trusted = envoy.trusted_serials().await?;
            let root = openssl::serial(&mesh.stage, &pushed.roots)?;
            ensure!(
                !trusted.is_empty() && trusted.iter().all(|serial| *serial == root),
                "{trusted:?}, not {root}"
            );
        }
        Ok(())
    });
}

#[test]
fn openssl_accepts_leaf_and_chain_by_its_strictest_rules() {
    alone(async |programs| {
        let mesh = Mesh::raise(programs, &PLAN).await?;
        let pushed = Pushed::to(&mesh, &mesh.workloads.frontend).await?;
        openssl::verify_strictly(&mesh.stage, &pushed.chain, &pushed.roots)
    });
}

#[test]
fn openssl_refuses_a_leaf_under_another_root() {
    alone(async |programs| {
        let (mesh, stranger) = (Mesh::raise(programs, &PLAN).await?, Mesh::raise(programs, &PLAN).await?);
        let pushed = Pushed::to(&mesh, &mesh.workloads.frontend).await?;
        let roots = Pushed::to(&stranger, &stranger.workloads.frontend).await?.roots;
        ensure!(
            openssl::verify_strictly(&mesh.stage, &pushed.chain, &roots).is_err(),
            "openssl accepts anything"
        );
        Ok(())
    });
}
