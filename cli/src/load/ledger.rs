//! The tally of a load that runs, to be looked at meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use signet_client::{CaError, Issued};
use tokio::time::Instant;

use super::Tally;

/// Cloned handles share one tally.
#[derive(Debug, Clone)]
pub struct Ledger {
    began: Instant,
    tally: Arc<Mutex<Tally>>,
}

impl Ledger {
    /// An empty one; time counts from now.
    pub fn open() -> Result<Self> {
        let tally = Tally::new().context("no memory for the histograms")?;
        Ok(Self { began: Instant::now(), tally: Arc::new(Mutex::new(tally)) })
    }

    /// As it stands now.
    pub fn so_far(&self) -> Tally {
        Tally { lasted: self.began.elapsed(), ..self.lock().clone() }
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// A request that was due at `due` has ended.
    pub(super) fn ended(&self, due: Instant, outcome: &Result<Issued, CaError>) {
        let latency = due.elapsed();
        self.lock().count(latency, outcome);
    }

    /// A request that was due at `due` starts.
    pub(super) fn started(&self, due: Instant) {
        let lateness = due.elapsed();
        self.lock().lateness.record(lateness);
    }

    /// A request was due and found no room.
    pub(super) fn not_sent(&self) {
        self.lock().not_sent += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
