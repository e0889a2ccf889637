//! Which issuer signs is Vault's choice: `vault.issuer` is not set, and the default changes under load.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use signet::stage::{Ca, CaSettings, Footing, Mesh, Plan, SignedBy, Stage};
use signet_client::CaError;
use signet_identity::TrustBundle;
use signet_tests::alone;
use signet_tests::issuing::Requester;
use signet_tests::traffic::Traffic;
use tokio::time::{Instant, sleep};

use super::{HOUR, PLAN, START, Scene, must_be_strictly_valid};

/// At the latest moment of its renewal a certificate has 5.4 s left: what a change may cost.
const LEAF: Duration = Duration::from_secs(18);

/// At the latest moment of its renewal it has 10.8 s left, and under a new root it waits for 7.2.
const LEAF_THAT_WAITS: Duration = Duration::from_secs(36);

/// From the new root in the bundle to the first leaf under it.
const OVERLAP: Duration = Duration::from_secs(3);

/// Less than is left to the CA's next look at Vault, who began with one.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

/// Between one request for a certificate and the next.
const PACE: Duration = Duration::from_millis(100);

#[test]
fn a_ca_follows_at_once_and_says_until_when_it_must_wait_and_no_request_fails() {
    alone(async |programs| {
        let Scene { openbao, issuer, stage } = Scene::set().await?;
        let access = openbao.accept_jwt(&stage, &issuer, HOUR).await?;
        let settings = CaSettings::new(LEAF, &issuer).signed_by(SignedBy::Vault(access));
        let another_stage = Stage::set()?;
        let hasty = settings.clone().with_overlap(Duration::ZERO);
        let mut hasty = Ca::start(&another_stage, programs, &hasty)?;
        hasty.daemon().ready(START).await?;
        let footing = Footing { stage, issuer: Arc::clone(&issuer), ca: settings.with_overlap(OVERLAP) };
        let mesh = Mesh::raise_on(footing, programs, &Plan { leaf_lifetime: LEAF, ..PLAN }).await?;
        let mut traffic = Traffic::through(&mesh).await?;
        let (patient, hasty) = (Requester::before(&mesh.ca, &issuer)?, Requester::before(&hasty, &issuer)?);
        let roots = patient.ask().await?.bundle;

        openbao.rotate_root("root-2").await?;
        let (patient, hasty) = tokio::try_join!(followed(&patient, &roots), followed(&hasty, &roots))?;

        ensure!(hasty.after < NOTICED_WITHIN, "without an overlap only after {:?}", hasty.after);
        let late = patient.after.checked_sub(OVERLAP);
        ensure!(late.is_some_and(|late| late < NOTICED_WITHIN), "with {OVERLAP:?} after {:?}", patient.after);
        let said = patient.refusals.last().context("with an overlap nobody was refused")?;
        ensure!(said.contains("that will be at 2"), "not until when: {said}");
        for said in hasty.refusals.iter().chain(&patient.refusals) {
            ensure!(
                said.starts_with("Unavailable \"the CA issues nothing until proxies have the root"),
                "{said}"
            );
        }
        traffic.until_each_has_rotated(1).await.context("under the new root")?;
        traffic.must_be_unharmed().await
    });
}

#[test]
fn an_agent_without_a_ca_lets_the_root_go_first_and_no_request_fails() {
    alone(async |programs| {
        let scene = Scene::set().await?;
        let for_the_ca = scene.openbao.accept_jwt(&scene.stage, &scene.issuer, HOUR).await?;
        let for_workloads = scene.openbao.accept_workloads(&scene.issuer, HOUR).await?;
        // A token that dies while its leaf waits would cost a stream, and time that is not there.
        let (token_lifetime, new_token_every) = (Duration::from_secs(12), Some(Duration::from_secs(2)));
        let plan = Plan { leaf_lifetime: LEAF_THAT_WAITS, token_lifetime, new_token_every, ..PLAN };
        let (mut mesh, openbao) = scene.raise(programs, &plan, SignedBy::Vault(for_the_ca)).await?;
        let mut traffic = Traffic::through(&mesh).await?;
        mesh.turn_to_vault(for_workloads, LEAF_THAT_WAITS).await?;
        traffic.until_each_has_rotated(1).await.context("without a CA")?;

        openbao.rotate_root("root-2").await?;
        traffic.until_each_has_rotated(1).await.context("under the new root")?;

        must_be_strictly_valid(&mesh, &openbao.root().await?).await?;
        traffic.must_be_unharmed().await?;
        let waited =
            mesh.agent.daemon().metric("signet_agent_renewals_total{outcome=\"unavailable\"}").await?;
        ensure!(waited > 0.0, "no leaf had to wait for its root");
        Ok(())
    });
}

/// How a CA came to sign under a new root.
struct Followed {
    after: Duration,
    /// What callers were told until then.
    refusals: Vec<String>,
}

/// Asks for certificates until one is under none of `before`, whose root is in the bundle by then.
async fn followed(requester: &Requester, before: &TrustBundle) -> Result<Followed> {
    let (began, mut refusals) = (Instant::now(), Vec::new());
    loop {
        match requester.ask().await {
            Ok(issued) if requester.verify_by(&issued, before).is_ok() => {}
            Ok(issued) => {
                requester.verify(issued)?;
                return Ok(Followed { after: began.elapsed(), refusals });
            }
            Err(CaError::Unavailable(outage)) => refusals.push(outage.to_string()),
            Err(error) => return Err(error.into()),
        }
        ensure!(began.elapsed() < START, "not followed: {:?}", refusals.last());
        sleep(PACE).await;
    }
}
