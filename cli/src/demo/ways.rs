//! The three ways to put an authority behind the mesh, one after the other under the same traffic: an operator's key, the
//! CA before Vault in both ways, and Vault alone.

mod play;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use signet_identity::CertificateSummary;

use crate::input::Source;
use crate::output::{Proof, Report};
use crate::stage::envoy::SdsVariant;
use crate::stage::openbao::{OWN_IDENTITY_ROLE, PKI_MOUNT, VaultAccess, WORKLOAD_ROLE};
use crate::stage::{
    CaSettings, Footing, Mesh, OfflineRoot, OpenBao, Plan, Programs, SecretVolume, SignedBy, Stage,
    TokenIssuer, TokenPath,
};

use play::Play;

/// Leaves that are renewed after 8 to 14 s, by tokens that are dead by then.
const PLAN: Plan = Plan {
    leaf_lifetime: Duration::from_secs(20),
    token_lifetime: Duration::from_secs(5),
    new_token_every: Some(Duration::from_secs(1)),
    frontend_token: TokenPath::Volume,
    variant: SdsVariant::StateOfTheWorld,
};

/// What a login at Vault lasts.
const LEASE: Duration = Duration::from_secs(3600);

/// Plays all of it, and leaves the mesh as it is in the end: with Vault alone.
pub(super) async fn play(programs: &Programs, vault: &Path, report: &mut Report<'_>) -> Result<Mesh> {
    report
        .title("Signet: three ways to put an authority of yours behind the mesh, under the same traffic")?;
    let scene = Scene::set(vault).await.context("OpenBao could not be set up")?;
    let Scene { stage, issuer, openbao, settings, for_the_ca, for_workloads } = scene;
    let footing = Footing { stage, issuer, ca: settings.clone() };
    let mesh = Mesh::raise_on(footing, programs, &PLAN).await.context("the stage could not be set")?;
    for line in [
        "frontend ─▸ Envoy ══ mTLS ══▸ Envoy ─▸ orders      50 requests a second, each with a handshake of its own",
        "certificates live 20 s; the operator has a root of its own, and OpenBao another one",
    ] {
        report.line(line)?;
    }
    let mut play = Play::begin(mesh, report).await?;

    play.promise("A   The operator's key signs, in the CA   (authority.kind = \"injected\")")?;
    let shown = play.until_signed_by(&["operator intermediate", "operator root"]).await;
    play.shown(shown)?;

    play.promise("B1  Vault signs each leaf   (one line: authority.kind = \"vault\")")?;
    play.note("another root: proxies get it first, and leaves under it follow when every proxy has it")?;
    play.sign_by(&settings.clone().signed_by(SignedBy::Vault(for_the_ca.clone()))).await?;
    let shown = play.until_signed_by(&["root 1"]).await;
    play.shown(shown)?;
    let signed = openbao.count(&format!("{PKI_MOUNT}/sign/{WORKLOAD_ROLE}"))?;
    play.proof(Proof::new(
        signed >= 2 && openbao.count("auth/jwt/login")? == 1,
        format!("by Vault's own audit log the CA logged in once, and had {signed} leaves signed"),
    ))?;

    play.promise(
        "B2  The CA signs, by an intermediate of Vault's   (authority.kind = \"vault-intermediate\")",
    )?;
    play.sign_by(&settings.signed_by(SignedBy::VaultIntermediate(for_the_ca))).await?;
    let before = openbao.count(&format!("{PKI_MOUNT}/sign/{WORKLOAD_ROLE}"))?;
    let shown = play.until_signed_by(&["*", "root 1"]).await;
    play.shown(shown)?;
    let intermediates = openbao.count(&format!("{PKI_MOUNT}/issuer/default/sign-intermediate"))?;
    let leaves = openbao.count(&format!("{PKI_MOUNT}/sign/{WORKLOAD_ROLE}"))? - before;
    play.proof(Proof::new(
        intermediates == 1 && leaves == 0,
        format!("Vault signed {intermediates} intermediate and {leaves} leaves"),
    ))?;

    play.promise(
        "C   Vault alone: each workload logs in by its own token   (the agent's ca.kind = \"vault\")",
    )?;
    play.turn_to_vault(for_workloads).await?;
    let shown = play.until_signed_by(&["root 1"]).await;
    play.shown(shown)?;
    let logins = openbao.count("auth/jwt/login")?;
    let own = openbao.count(&format!("{PKI_MOUNT}/sign/{OWN_IDENTITY_ROLE}"))?;
    play.proof(Proof::new(
        play.ca_is_gone().await && own >= 2,
        format!(
            "no CA runs; {own} leaves were signed for workloads that had logged in ({logins} logins in all)"
        ),
    ))?;

    play.end().await
}

/// What there is before the mesh.
struct Scene {
    stage: Stage,
    issuer: Arc<TokenIssuer>,
    openbao: OpenBao,
    settings: CaSettings,
    for_the_ca: VaultAccess,
    for_workloads: VaultAccess,
}

impl Scene {
    async fn set(vault: &Path) -> Result<Self> {
        let stage = Stage::set()?;
        let issuer = Arc::new(TokenIssuer::new(&stage)?);
        let openbao = OpenBao::start(&stage, vault).await?;
        openbao.set_up_pki().await?;
        let for_the_ca = openbao.accept_jwt(&stage, &issuer, LEASE).await?;
        let for_workloads = openbao.accept_workloads(&issuer, LEASE).await?;
        let key_set = OfflineRoot::new("operator root")?.key_set("operator intermediate")?;
        let files = SecretVolume::mount(&stage, "cacerts", &key_set)?.directory().to_owned();
        let settings = CaSettings::new(PLAN.leaf_lifetime, &issuer).signed_by(SignedBy::Files(files));
        Ok(Self { stage, issuer, openbao, settings, for_the_ca, for_workloads })
    }
}

/// The chain that the server's Envoy shows, as the names of who signed: the leaf's issuer first.
async fn signers(mesh: &Mesh) -> Result<Vec<String>> {
    let server = format!("tls://127.0.0.1:{}", mesh.doors.server);
    let server: Source = server.parse().map_err(anyhow::Error::msg)?;
    let chain = server.read().await?;
    chain.iter().map(|item| Ok(CertificateSummary::of(&item.der)?.issuer().to_owned())).collect()
}
