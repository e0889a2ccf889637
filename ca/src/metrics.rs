//! Every metric of the CA, in one place.
//!
//! Handles are made once, so that counting on the request path is one atomic addition. Label sets are closed:
//! they are the variants of enums, never something that a client sent.

use std::sync::Arc;

use metrics::Counter;

/// The metrics of this process. Cloned handles count into the same.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Handles>);

#[derive(Debug)]
struct Handles {
    token_cache_hits: Counter,
    token_cache_misses: Counter,
    key_fetches: [Counter; KeyFetch::ALL.len()],
}

/// How a load of an issuer's keys ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFetch {
    /// Other keys than before.
    Changed,
    /// The same keys.
    Unchanged,
    /// No answer, or no keys that we take; the ones held stay.
    Failed,
}

impl Metrics {
    /// Describes the metrics to the recorder that is installed, and takes their handles. Without a recorder
    /// they count into nothing.
    pub fn new() -> Self {
        describe();
        Self(Arc::new(Handles {
            token_cache_hits: metrics::counter!("signet_ca_token_cache_total", "result" => "hit"),
            token_cache_misses: metrics::counter!("signet_ca_token_cache_total", "result" => "miss"),
            key_fetches: KeyFetch::ALL.map(
                |outcome| metrics::counter!("signet_ca_issuer_key_loads_total", "outcome" => outcome.label()),
            ),
        }))
    }

    pub(crate) fn token_cache_hit(&self) {
        self.0.token_cache_hits.increment(1);
    }

    pub(crate) fn token_cache_miss(&self) {
        self.0.token_cache_misses.increment(1);
    }

    pub(crate) fn key_fetch(&self, outcome: KeyFetch) {
        if let Some(counter) = self.0.key_fetches.get(outcome as usize) {
            counter.increment(1);
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyFetch {
    const ALL: [Self; 3] = [Self::Changed, Self::Unchanged, Self::Failed];

    fn label(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

fn describe() {
    metrics::describe_counter!(
        "signet_ca_token_cache_total",
        "Tokens that were looked up among the verified ones, by result."
    );
    metrics::describe_counter!(
        "signet_ca_issuer_key_loads_total",
        "Loads of token issuers' keys, by outcome."
    );
}
