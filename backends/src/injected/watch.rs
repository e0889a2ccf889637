//! Tells of each new set of files: a good one, or what is wrong with it.

use std::{
    future::pending,
    panic::resume_unwind,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use signet_identity::Clock;
use tokio::{
    task::{JoinError, spawn_blocking},
    time::{Instant, sleep, sleep_until},
};

use super::{
    Faults, InjectedSet,
    eyes::{Eyes, Happened},
    judge::judge,
    settling::{Next, Seen, Settling},
    snapshot::Snapshot,
};

#[cfg(test)]
mod tests;

/// What is watched, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchConfig {
    /// Where the files are.
    pub directory: PathBuf,
    /// How often they are looked at though no event came: events get lost, and there are none for what a link
    /// points at, nor on some network file systems.
    pub poll: Duration,
    /// What a set must be good for that follows on another; see [`read`](super::read). The first is better than none
    /// for as long as it is good at all.
    pub min_remaining: Duration,
}

/// Watches a directory by events and by a slow poll.
///
/// Survives whatever is done to the files: Kubernetes' swap of `..data`, an editor's rename, a slow copy,
/// files or the directory missing for a while. What is told has not changed for 200 ms, and faults for 2 s,
/// so that a set which is copied file by file is told when it is whole.
pub struct Watch {
    config: WatchConfig,
    clock: Arc<dyn Clock>,
    /// `None`: no events, for tests of the poll.
    eyes: Option<Arc<Mutex<Eyes>>>,
    happened: Arc<Happened>,
    settling: Settling,
    /// Whether a good set was told.
    follows: bool,
}

impl Watch {
    /// Nothing is read before [`next`](Self::next) is called.
    pub fn new(config: WatchConfig, clock: Arc<dyn Clock>) -> Self {
        let eyes = Eyes::on(&config.directory);
        let happened = eyes.happened();
        Self {
            config,
            clock,
            eyes: Some(Arc::new(Mutex::new(eyes))),
            happened,
            settling: Settling::default(),
            follows: false,
        }
    }

    /// Waits for what has not been told yet: at first for whatever is there, then for each change. The same
    /// faults are told once. Files are read on a thread for what blocks.
    ///
    /// Cancel-safe: what was not returned is returned by the next call.
    ///
    /// # Errors
    /// What is there is no authority, and why. Call again: it is told when that has changed.
    pub async fn next(&mut self) -> Result<InjectedSet, Faults> {
        loop {
            let (seen, found) = self.look().await;
            match self.settling.look(seen, Instant::now()) {
                Next::Tell => {
                    self.follows |= found.is_ok();
                    return found;
                }
                Next::LookAgain(after) => sleep(after).await,
                Next::Rest => self.rest().await,
            }
        }
    }

    async fn rest(&self) {
        let poll = Instant::now() + self.config.poll;
        tokio::select! {
            () = sleep_until(poll) => {}
            // A flood of events costs no more than this many looks.
            () = self.happened.wait() => sleep(BETWEEN_LOOKS).await,
        }
    }

    async fn look(&self) -> (Seen, Result<InjectedSet, Faults>) {
        let (eyes, now) = (self.eyes.clone(), self.clock.now());
        let WatchConfig { directory, min_remaining, .. } = self.config.clone();
        let min_remaining = if self.follows { min_remaining } else { Duration::ZERO };
        let looking = spawn_blocking(move || {
            if let Some(eyes) = eyes {
                eyes.lock().unwrap_or_else(PoisonError::into_inner).open();
            }
            let snapshot = Snapshot::take(&directory);
            (snapshot.digest(), judge(&snapshot, now, min_remaining))
        });
        let (digest, found) = match looking.await.map_err(JoinError::try_into_panic) {
            Ok(looked) => looked,
            Err(Ok(bug)) => resume_unwind(bug),
            // The runtime is stopping, and this task with it.
            Err(Err(_stopping)) => pending().await,
        };
        (Seen { digest, faults: found.as_ref().err().cloned() }, found)
    }
}

/// Twenty times a second.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
