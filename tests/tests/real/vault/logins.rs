//! Each way to log in.

use anyhow::{Context, Result, ensure};
use signet::stage::openbao::VaultAccess;
use signet::stage::{Ca, CaSettings, Programs, SignedBy, Stage, TokenIssuer};
use signet_tests::alone;
use signet_tests::issuing::Requester;

use super::{HOUR, START, Scene};

#[test]
fn each_login_has_leaves_signed() {
    alone(async |programs| {
        let Scene { openbao, issuer, stage } = Scene::set().await?;
        for (method, logins, access) in [
            ("jwt", 1, openbao.accept_jwt(&stage, &issuer, HOUR).await?),
            ("approle", 1, openbao.accept_approle(&stage, HOUR).await?),
            ("cert", 1, openbao.accept_certificate(&stage, HOUR).await?),
            ("token", 0, openbao.give_token(&stage, HOUR).await?),
        ] {
            issues(programs, &issuer, access).await.context(method)?;
            let counted = openbao.count(&format!("auth/{method}/login"))?;
            ensure!(counted == logins, "{counted} logins by {method}");
        }
        Ok(())
    });
}

/// A CA that is new in all but the Vault.
async fn issues(programs: &Programs, issuer: &TokenIssuer, access: VaultAccess) -> Result<()> {
    let stage = Stage::set()?;
    let settings = CaSettings::new(HOUR, issuer).signed_by(SignedBy::Vault(access));
    let mut ca = Ca::start(&stage, programs, &settings)?;
    ca.daemon().ready(START).await?;
    let requester = Requester::before(&ca, issuer)?;
    requester.verify(requester.ask().await?)?;
    Ok(())
}
