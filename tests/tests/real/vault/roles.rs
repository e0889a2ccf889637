//! The role at Vault is changed to something stupid: nothing of it is handed out, and the log says what is wrong.

use anyhow::{Context, ensure};
use signet::stage::openbao::{Role, WORKLOAD_ROLE};
use signet::stage::{Ca, CaSettings, SignedBy};
use signet_tests::alone;
use signet_tests::issuing::Requester;

use super::{HOUR, START, Scene};

#[test]
fn a_role_that_does_not_fit_is_told_and_nothing_of_it_is_handed_out() {
    alone(async |programs| {
        let Scene { openbao, issuer, stage } = Scene::set().await?;
        let access = openbao.accept_jwt(&stage, &issuer, HOUR).await?;
        let settings = CaSettings::new(HOUR, &issuer).signed_by(SignedBy::Vault(access));
        let mut ca = Ca::start(&stage, programs, &settings)?;
        ca.daemon().ready(START).await?;
        let requester = Requester::before(&ca, &issuer)?;
        let good = Role::for_any_workload()?;
        for (role, told) in [
            (good.clone().with("key_type", "rsa").with("key_bits", 2048), "role requires keys of type rsa"),
            (good.clone().with("allowed_uri_sans", "spiffe://other/*"), "not valid for this role"),
            (good.clone().with("client_flag", false), "clientAuth"),
            (good.clone().with("require_cn", true), "common_name"),
        ] {
            let before = ca.daemon().process().log()?.len();
            openbao.set_role(WORKLOAD_ROLE, &role).await?;
            ensure!(requester.ask().await.is_err(), "issued by {role:?}");
            let log = ca.daemon().process().log()?;
            let said = log.get(before..).unwrap_or_default();
            ensure!(said.contains(told), "no {told:?} in {said}");
            openbao.set_role(WORKLOAD_ROLE, &good).await?;
            requester.verify(requester.ask().await.with_context(|| format!("after {role:?}"))?)?;
        }
        Ok(())
    });
}
