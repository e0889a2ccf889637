//! The one task beside the calls: it looks who signs at Vault, and gives back what the calls leave behind.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use signet_backends::vault::{VaultError, VaultSession};
use signet_client::{CaEvent, Reachability};
use signet_runtime::telemetry::chain;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{
    CALL_DEADLINE, Shared,
    issuers::Issuers,
    refusal::{self, Stage},
};

/// Keeps a `VaultCa` up to date.
pub struct VaultKeeper {
    shared: Arc<Shared>,
    leaving: mpsc::Receiver<Arc<VaultSession>>,
}

impl VaultKeeper {
    pub(super) fn of(shared: Arc<Shared>, leaving: mpsc::Receiver<Arc<VaultSession>>) -> Self {
        Self { shared, leaving }
    }

    /// Works until `stop`. Then it gives every token of Vault's back, within a few seconds.
    pub async fn run(self, stop: CancellationToken) {
        let Self { shared, leaving } = self;
        // A node whose streams all go at once is about to log in again, and that has to get through.
        let at_once = (shared.client.config().concurrency / 4).max(1);
        let told = AtomicBool::new(false);
        let say_goodbye = |session| say_goodbye(session, &told);
        let mut goodbyes = pin!(ReceiverStream::new(leaving).for_each_concurrent(at_once, say_goodbye));
        tokio::select! {
            () = stop.cancelled() => {}
            () = shared.watch() => {}
            () = &mut goodbyes => {}
        }
        shared.sessions.release_all();
        if timeout(GOODBYE, goodbyes).await.is_err() {
            tracing::info!("some Vault tokens were not given back; they end by themselves");
        }
    }
}

/// Gives Vault's token back. One that cannot be given back ends by itself; that no token may be is `told` once.
async fn say_goodbye(session: Arc<VaultSession>, told: &AtomicBool) {
    match session.close(Instant::now() + GOODBYE).await {
        Ok(()) => {}
        Err(error @ VaultError::Denied { .. }) if !told.swap(true, Ordering::Relaxed) => {
            tracing::warn!(error = %chain(&error), "Vault tokens are not given back and live on without their workloads; \
                                                    this is said once");
        }
        Err(error) => {
            tracing::debug!(error = %chain(&error), "a Vault token was not given back; it ends by itself");
        }
    }
}

impl Shared {
    /// Looks who signs, once a minute; more often while nobody says so.
    async fn watch(&self) {
        let (mut pause, mut told) = (FIRST_RETRY, false);
        let mut heard = self.reachability.subscribe();
        loop {
            let alone = self.looking.lock().await;
            let found = self.look(Instant::now() + CALL_DEADLINE).await;
            drop(alone);
            match found {
                Ok(issuers) => {
                    self.hear(Some(CaEvent::Connected));
                    told = false;
                    // Calls may find nobody who serves, and will not look by themselves whether somebody is back.
                    let gone = heard.wait_for(|state| *state == Reachability::Disconnected);
                    if timeout(next_look(&issuers), gone).await.is_err() {
                        pause = FIRST_RETRY;
                        continue;
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(error = %chain(&error), "Vault does not say who signs; what is held goes on serving");
                    }
                    let refused = self.refuser.refuse(error, Stage::Signature);
                    self.hear(refusal::event_of_look(&refused, self.issuers.borrow().as_ref()));
                }
            }
            sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(LONGEST_RETRY);
        }
    }
}

fn next_look(issuers: &Issuers) -> Duration {
    let change = issuers.next_change().map(|change| change.saturating_duration_since(Instant::now()));
    change.unwrap_or(LOOK_EVERY).min(LOOK_EVERY).max(FIRST_RETRY)
}

/// For a token that is given back, and for all of them at the end.
const GOODBYE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_secs(60);
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// A proxy that has nothing waits no longer than this for Vault's return to be seen, and what the client's own breaker
/// waits.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use signet_backends::vault::IssuerPath;

    use super::*;
    use crate::vault::testing::issuer_chain;

    #[tokio::test(start_paused = true)]
    async fn the_next_look_is_when_the_issuer_changes_or_in_a_minute() {
        let [old, new] = ["old", "new"].map(issuer_chain);
        let (path, begin) = (IssuerPath::Issuer("i".to_owned()), Instant::now());
        let steady = Issuers::after(None, old, path.clone(), begin);
        assert_eq!(next_look(&steady), LOOK_EVERY, "nothing is under way");

        let waits = Issuers::after(Some(steady), new, path, begin);
        let change = waits.next_change().unwrap() - begin;
        for (passed, look) in [
            (Duration::ZERO, LOOK_EVERY),
            (change - Duration::from_secs(7), Duration::from_secs(7)),
            (change + LOOK_EVERY, FIRST_RETRY),
        ] {
            tokio::time::advance(begin + passed - Instant::now()).await;
            assert_eq!(next_look(&waits), look, "after {passed:?} of {change:?}");
        }
    }
}
