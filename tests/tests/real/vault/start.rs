//! A CA that starts before its Vault can be used.

use std::time::Duration;

use anyhow::ensure;
use signet::stage::{Ca, CaSettings, SignedBy, http};
use signet_tests::alone;

use super::{HOUR, Scene};

#[test]
fn a_ca_before_a_sealed_vault_waits_says_so_and_ends_in_peace() {
    alone(async |programs| {
        let Scene { openbao, issuer, stage } = Scene::set().await?;
        let access = openbao.accept_approle(&stage, HOUR).await?;
        openbao.seal().await?;
        let settings = CaSettings::new(HOUR, &issuer).signed_by(SignedBy::Vault(access));
        let mut ca = Ca::start(&stage, programs, &settings)?;
        let operations = ca.operations();
        let says_so = async || {
            let page = http::get(operations, "/readyz").await.ok()?;
            (!page.status.is_success() && page.body.contains("sealed")).then_some(())
        };
        ca.daemon().process().until("saying what it waits for", Duration::from_secs(30), says_so).await?;

        let status = ca.daemon().stop(Duration::from_secs(5)).await?;

        ensure!(status.success(), "it ended as if it had failed: {status}");
        Ok(())
    });
}
