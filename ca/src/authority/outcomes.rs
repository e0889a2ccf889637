//! What became of issuances, for metrics and for the status page.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use signet_runtime::telemetry::chain;

use super::IssueError;

/// Counts them.
#[derive(Clone)]
pub(super) struct Outcomes {
    pub(super) issued: metrics::Counter,
    failed: metrics::Counter,
    seconds: metrics::Histogram,
    failing: Arc<ArcSwapOption<Failing>>,
}

/// That nothing is issued any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// When the first issuance failed after the last that did not.
    pub since: SystemTime,
    /// Why that one did.
    pub reason: String,
}

impl Outcomes {
    pub(super) fn new() -> Self {
        Self {
            issued: metrics::counter!("signet_ca_issuances_total", "outcome" => "issued"),
            failed: metrics::counter!("signet_ca_issuances_total", "outcome" => "failed"),
            seconds: metrics::histogram!("signet_ca_issuance_seconds"),
            failing: Arc::default(),
        }
    }

    /// One has ended at `now`, and `took` so long if it was recorded.
    pub(super) fn count(&self, error: Option<&IssueError>, took: Option<Duration>, now: SystemTime) {
        if let Some(took) = took {
            self.seconds.record(took);
        }
        match error {
            None => {
                self.issued.increment(1);
                if self.failing.load().is_some() {
                    self.failing.store(None);
                }
            }
            Some(error) => {
                self.failed.increment(1);
                if self.failing.load().is_none() {
                    let failing = Failing { since: now, reason: chain(error).to_string() };
                    self.failing.store(Some(Arc::new(failing)));
                }
            }
        }
    }

    pub(super) fn failing(&self) -> Option<Failing> {
        self.failing.load().as_deref().cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn nothing_fails_any_more_once_something_was_issued() {
        let outcomes = Outcomes::new();
        outcomes.count(Some(&IssueError::Panicked), None, UNIX_EPOCH);
        assert!(outcomes.failing().is_some());

        outcomes.count(None, None, UNIX_EPOCH);

        assert_eq!(outcomes.failing(), None);
    }
}
