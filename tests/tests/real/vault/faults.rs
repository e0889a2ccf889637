//! What a real Vault does in bad times only, and not on demand.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use signet::stage::openbao::VaultAccess;
use signet::stage::{Ca, CaSettings, Programs, SignedBy, Stage, poll};
use signet_client::CaError;
use signet_tests::alone;
use signet_tests::faulty::{Fault, FaultyProxy};
use signet_tests::issuing::Requester;
use tokio::time::Instant;

use super::{HOUR, START, Scene};

/// The longest that a Vault that is back may go on being taken for away, on a busy machine.
const RECOVERY: Duration = Duration::from_secs(30);

/// Requests at Vault for one at the CA, in the five seconds that its client waits.
const FEW: usize = 20;

#[test]
fn a_fault_of_vault_is_told_for_what_it_is_and_ends_with_it() {
    alone(async |programs| {
        let scene = Scene::set().await?;
        let access = scene.openbao.accept_jwt(&scene.stage, &scene.issuer, HOUR).await?;
        let table = [
            (Fault::Reset, "broke before its answer was whole"),
            (Fault::HalfAnAnswer, "broke before its answer was whole"),
            (Fault::Status(500), "active cluster node not found"),
            (Fault::Status(503), "is sealed; unseal it"),
            (Fault::TooMany(1), "rate limit is reached"),
            (Fault::Late(Duration::from_secs(10)), "did not answer within"),
        ];
        let cases = table.map(|(fault, told)| {
            let laid = Line::lay(programs, &scene, access.clone());
            async move {
                let mut line = laid.await?;
                line.fails_and_recovers(fault, told).await.with_context(|| format!("{fault:?}"))
            }
        });
        try_join_all(cases).await.map(drop)
    });
}

#[test]
fn a_fault_that_passes_is_not_noticed() {
    alone(async |programs| {
        let scene = Scene::set().await?;
        let access = scene.openbao.accept_jwt(&scene.stage, &scene.issuer, HOUR).await?;
        let line = Line::lay(programs, &scene, access).await?;
        for fault in [Fault::Reset, Fault::HalfAnAnswer, Fault::Status(500), Fault::TooMany(1)] {
            let before = line.proxy.asked("sign");
            line.proxy.misbehave_once("sign", fault);
            line.requester.ask().await.with_context(|| format!("{fault:?}"))?;
            let asked = line.proxy.asked("sign") - before;
            ensure!(asked == 2, "{fault:?}: Vault was asked {asked} times");
        }
        Ok(())
    });
}

/// A client before a CA before the proxy before OpenBao.
struct Line {
    requester: Requester,
    ca: Ca,
    proxy: FaultyProxy,
    _stage: Stage,
}

impl Line {
    async fn lay(programs: &Programs, scene: &Scene, access: VaultAccess) -> Result<Self> {
        let proxy = FaultyProxy::before(scene.openbao.plain_port()).await?;
        let stage = Stage::set()?;
        let signed_by = SignedBy::Vault(access.by_way_of(proxy.port()));
        let settings = CaSettings::new(HOUR, &scene.issuer).signed_by(signed_by);
        let mut ca = Ca::start(&stage, programs, &settings)?;
        ca.daemon().ready(START).await?;
        let requester = Requester::before(&ca, &scene.issuer)?;
        Ok(Self { requester, ca, proxy, _stage: stage })
    }

    async fn fails_and_recovers(&mut self, fault: Fault, told: &str) -> Result<()> {
        let before = self.proxy.asked("sign");
        self.proxy.misbehave("sign", fault);
        let refused = self.requester.ask().await.err().context("it was issued")?;
        ensure!(matches!(refused, CaError::Unavailable(_)), "{refused}");
        let asked = self.proxy.asked("sign") - before;
        ensure!((1..=FEW).contains(&asked), "Vault was asked {asked} times");

        let soon = Instant::now() + RECOVERY;
        let process = self.ca.daemon().process();
        let is_told = async || process.log().is_ok_and(|log| log.contains(told)).then_some(());
        let seen = poll::until(soon, poll::PACE, is_told).await;
        seen.with_context(|| {
            format!("the log does not say {told:?}: {}", process.log().unwrap_or_default())
        })?;

        self.proxy.behave();
        let issues = async || self.requester.ask().await.ok();
        poll::until(soon, poll::PACE, issues).await.map(drop).context("it goes on failing")
    }
}
