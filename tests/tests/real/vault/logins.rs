//! Each way to log in: it has leaves signed, and tells no secret.

use std::fs;

use anyhow::{Context, Result, ensure};
use signet::stage::openbao::VaultAccess;
use signet::stage::{Ca, CaSettings, OpenBao, Programs, SignedBy, Stage, TokenIssuer, http};
use signet_tests::alone;
use signet_tests::issuing::Requester;
use signet_tests::secrets::must_not_be_told;

use super::{HOUR, START, Scene};

#[test]
fn each_login_has_leaves_signed_and_tells_no_secret() {
    alone(async |programs| {
        let Scene { openbao, issuer, stage } = Scene::set().await?;
        for (method, logins, secret, access) in [
            ("jwt", 1, "vault-jwt", openbao.accept_jwt(&stage, &issuer, HOUR).await?),
            ("approle", 1, "vault-secret-id", openbao.accept_approle(&stage, HOUR).await?),
            ("cert", 1, "signet-ca-at-vault.key", openbao.accept_certificate(&stage, HOUR).await?),
            ("token", 0, "vault-token", openbao.give_token(&stage, HOUR).await?),
        ] {
            let said = issues(programs, &issuer, &openbao, access).await.context(method)?;
            let counted = openbao.count(&format!("auth/{method}/login"))?;
            ensure!(counted == logins, "{counted} logins by {method}");
            let secret = fs::read_to_string(stage.directory().join(secret))?;
            must_not_be_told(&said, &[&secret]).context(method)?;
            must_not_be_told(&said, &openbao.secrets()).context(method)?;
        }
        Ok(())
    });
}

/// By a CA that is new in all but the Vault. Everything that the CA said, in good times and in bad ones.
async fn issues(
    programs: &Programs,
    issuer: &TokenIssuer,
    openbao: &OpenBao,
    access: VaultAccess,
) -> Result<String> {
    let stage = Stage::set()?;
    let signed_by = SignedBy::Vault(access);
    let settings = CaSettings::new(HOUR, issuer).signed_by(signed_by).with_log_filter("trace");
    let mut ca = Ca::start(&stage, programs, &settings)?;
    ca.daemon().ready(START).await?;
    let requester = Requester::before(&ca, issuer)?;
    requester.verify(requester.ask().await?)?;
    openbao.seal().await?;
    ensure!(requester.ask().await.is_err(), "a sealed Vault has signed");
    openbao.unseal().await?;
    let mut said = ca.daemon().process().log()?;
    ensure!(said.contains("TRACE"), "the log says little: {said}");
    said += &fs::read_to_string(ca.audit_log())?;
    for page in ["/metrics", "/readyz", "/"] {
        said += &http::get(ca.operations(), page).await?.body;
    }
    Ok(said)
}
