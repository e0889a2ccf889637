//! The loop around the driver: it hears what sources say, lets time pass, tries again what has failed, and tells how
//! things stand.

use std::time::Duration;

use signet_runtime::telemetry::chain;
use tokio::{
    sync::mpsc::Receiver,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{Driver, Said};
use crate::{
    authority::{Authority, Standing},
    store::Held,
    trust::{
        Offer, SourceFault,
        metrics::{self, Outcome},
        words,
    },
};

/// What has failed, and what is known of it.
#[derive(Default)]
pub(super) struct Trouble {
    /// The last offer, if it was refused: what stands in its way may pass, and its source says it once.
    refused: Option<Offer>,
    /// The last word on the source.
    told: Option<String>,
    /// In a row.
    failures: u32,
}

impl Driver {
    /// Waits until anything was ever taken: from then on there is at least a bundle to publish.
    pub async fn first_standing(&mut self, sources: &mut Receiver<Said>) -> Standing {
        loop {
            if let Some(standing) = self.standing() {
                return standing;
            }
            self.turn(sources).await;
        }
    }

    /// Drives until `stop`: `authority` stands as this says.
    pub async fn run(mut self, authority: Authority, mut sources: Receiver<Said>, stop: CancellationToken) {
        // Something may have become due while nothing ran.
        self.look().await;
        loop {
            if let Some(standing) = self.standing() {
                authority.publish(standing);
            }
            self.report(&authority);
            if stop.run_until_cancelled(self.turn(&mut sources)).await.is_none() {
                return;
            }
        }
    }

    /// Takes an offer if there is one, and tells the operator what became of it.
    pub async fn hear(&mut self, said: Said) {
        match said {
            Ok(offer) => self.consider(offer).await,
            Err(SourceFault(fault)) => {
                self.trouble.refused = None;
                self.conclude(Outcome::Absent, fault);
            }
        }
    }

    /// Until something happens that may change how things stand.
    async fn turn(&mut self, sources: &mut Receiver<Said>) {
        let wake = Instant::now() + self.until_next_look();
        tokio::select! {
            Some(said) = sources.recv() => self.hear(said).await,
            () = sleep_until(wake) => self.look().await,
        }
    }

    /// Tries again what has failed, and lets time do what it does.
    pub(super) async fn look(&mut self) {
        if let Some(offer) = self.trouble.refused.take() {
            self.consider(offer).await;
        }
        match self.step() {
            Ok(()) if self.trouble.refused.is_none() => self.trouble.failures = 0,
            Ok(()) => {}
            Err(error) => {
                self.trouble.failures = self.trouble.failures.saturating_add(1);
                tracing::error!(error = %chain(&error), "the state directory does not follow; it is tried again");
            }
        }
    }

    async fn consider(&mut self, offer: Offer) {
        let taken = self.take(offer.clone()).await;
        match taken {
            Ok(()) => self.conclude(Outcome::Taken, "good".to_owned()),
            Err(refused) => {
                self.trouble.refused = Some(offer);
                self.trouble.failures = self.trouble.failures.saturating_add(1);
                self.conclude(
                    Outcome::Refused,
                    format!("what it offers is refused: {}; it is tried again", chain(&refused)),
                );
            }
        }
    }

    fn conclude(&mut self, outcome: Outcome, remark: String) {
        metrics::offered(outcome);
        let is_known = self.trouble.told.as_ref() == Some(&remark);
        match outcome {
            _ if is_known => {}
            Outcome::Taken if self.trouble.told.is_none() => {}
            Outcome::Taken => tracing::info!("the source of the authority is well again"),
            _ => tracing::error!(fault = remark, "nobody else is to sign; who did until now goes on"),
        }
        self.readiness.remark("source of the authority", remark.clone());
        self.trouble.told = Some(remark);
    }

    /// Timers stand still while a machine sleeps, so the wall is looked at often.
    pub(super) fn until_next_look(&self) -> Duration {
        let now = self.clock.now();
        let change =
            self.store.held().and_then(|held| held.trust.next_change(self.terms(&self.signers, now)));
        // What was due at the last look waits for something else than time.
        let due_in = change.and_then(|at| at.duration_since(now).ok()).filter(|left| !left.is_zero());
        let patience = match self.trouble.failures {
            0 => LOOK_EVERY,
            failures => (RETRY * 2_u32.pow((failures - 1).min(MOST_DOUBLINGS))).min(LOOK_EVERY),
        };
        due_in.unwrap_or(LOOK_EVERY).clamp(SOONEST, LOOK_EVERY).min(patience)
    }

    pub(super) fn report(&self, authority: &Authority) {
        let Some(Held { trust, bundle, .. }) = self.store.held() else { return };
        let now = self.clock.now();
        let signing = self.signers.active_signs(now).then_some(trust.active().origin);
        metrics::signing(signing);
        metrics::standing(trust.stage(), bundle, trust.activation(self.terms(&self.signers, now)));
        self.readiness.remark("trust", words::of(trust, signing, self.follows(now)));
        self.readiness.remark("issuing", words::issuing(authority.failing().as_ref()));
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Of two looks that time alone asks for.
const SOONEST: Duration = Duration::from_millis(100);

/// After a first failure; twice as long after each further one.
const RETRY: Duration = Duration::from_secs(1);
const MOST_DOUBLINGS: u32 = 5;
