//! Every metric of the CA, in one place.
//!
//! Handles are made once, so that counting on the request path is one atomic addition. Label sets are closed:
//! they are the variants of enums or stand in the configuration, never something that a client sent.

use std::{sync::Arc, time::Duration};

use metrics::{Counter, Gauge, Histogram, Unit};

use crate::status::Reason;

/// The metrics of this process. Cloned handles count into the same.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Handles>);

#[derive(Debug)]
struct Handles {
    answered: Histogram,
    refused: Vec<Counter>,
    token_cache_hits: Counter,
    token_cache_misses: Counter,
    bundles_told: Counter,
    key_fetches: [Counter; KeyFetch::ALL.len()],
    in_flight: Gauge,
    queued: Gauge,
    authority_expires: Gauge,
    authority_remaining: Gauge,
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
            answered: metrics::histogram!("signet_ca_request_seconds"),
            refused: Reason::ALL
                .iter()
                .map(|reason| metrics::counter!("signet_ca_refused_total", "reason" => reason.label()))
                .collect(),
            token_cache_hits: metrics::counter!("signet_ca_token_cache_total", "result" => "hit"),
            token_cache_misses: metrics::counter!("signet_ca_token_cache_total", "result" => "miss"),
            bundles_told: metrics::counter!("signet_ca_trust_bundle_answers_total"),
            key_fetches: KeyFetch::ALL.map(
                |outcome| metrics::counter!("signet_ca_issuer_key_loads_total", "outcome" => outcome.label()),
            ),
            in_flight: metrics::gauge!("signet_ca_requests_in_flight"),
            queued: metrics::gauge!("signet_ca_requests_queued"),
            authority_expires: metrics::gauge!("signet_ca_authority_expires_timestamp_seconds"),
            authority_remaining: metrics::gauge!("signet_ca_authority_remaining_ratio"),
        }))
    }

    /// A certificate left, this long after its request came.
    pub(crate) fn answered(&self, took: Duration) {
        self.0.answered.record(took);
    }

    /// A request was refused.
    pub(crate) fn refused(&self, reason: Reason) {
        if let Some(counter) = self.0.refused.get(reason as usize) {
            counter.increment(1);
        }
    }

    pub(crate) fn token_cache_hit(&self) {
        self.0.token_cache_hits.increment(1);
    }

    pub(crate) fn token_cache_miss(&self) {
        self.0.token_cache_misses.increment(1);
    }

    /// Somebody was told the trust bundle without a certificate.
    pub(crate) fn told_bundle(&self) {
        self.0.bundles_told.increment(1);
    }

    pub(crate) fn key_fetch(&self, outcome: KeyFetch) {
        if let Some(counter) = self.0.key_fetches.get(outcome as usize) {
            counter.increment(1);
        }
    }

    /// Where the time of the last good load of this issuer's keys goes, since 1970.
    pub(crate) fn issuer_keys_loaded(&self, issuer: &str) -> Gauge {
        metrics::gauge!("signet_ca_issuer_keys_loaded_timestamp_seconds", "issuer" => issuer.to_owned())
    }

    /// How full the house is.
    pub(crate) fn load(&self, in_flight: usize, queued: usize) {
        self.0.in_flight.set(in_flight as f64);
        self.0.queued.set(queued as f64);
    }

    /// When the certificate that signs now is over, since 1970, and how much of its life is left, from 1 to 0.
    pub(crate) fn authority_expires(&self, since_1970: Duration, remaining: f64) {
        self.0.authority_expires.set(since_1970.as_secs_f64());
        self.0.authority_remaining.set(remaining);
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

/// What the parts that own a metric count is described here too, so that this list is whole.
fn describe() {
    use metrics::{describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram};
    histogram!(
        "signet_ca_request_seconds",
        Unit::Seconds,
        "From the arrival of a request to its certificate; refusals are not in it."
    );
    counter!("signet_ca_refused_total", "Requests that were refused, by reason.");
    gauge!("signet_ca_requests_in_flight", "Requests that were admitted and not answered yet.");
    gauge!("signet_ca_requests_queued", "Requests that wait for admission.");
    counter!("signet_ca_token_cache_total", "Tokens looked up among the verified ones, by result.");
    counter!("signet_ca_issuer_key_loads_total", "Loads of token issuers' keys, by outcome.");
    gauge!(
        "signet_ca_issuer_keys_loaded_timestamp_seconds",
        Unit::Seconds,
        "When a token issuer's keys were last loaded, changed or not, since 1970, by issuer."
    );
    counter!("signet_ca_issuances_total", "Issuances by the authority, by outcome.");
    histogram!(
        "signet_ca_issuance_seconds",
        Unit::Seconds,
        "From intent to outcome of an issuance, both of them durable."
    );
    gauge!(
        "signet_ca_authority_expires_timestamp_seconds",
        Unit::Seconds,
        "When the certificate that signs now expires, since 1970."
    );
    gauge!(
        "signet_ca_authority_remaining_ratio",
        "How much of that certificate's life is left, from 1 to 0."
    );
    counter!("signet_ca_authority_offers_total", "What the source of the authority said, by outcome.");
    gauge!("signet_ca_authority_signs", "1 for the kind of authority that can sign now, by kind; else 0.");
    gauge!("signet_ca_trust_stage", "1 for where a change of trust stands, by stage.");
    counter!("signet_ca_trust_bundle_answers_total", "How often the bundle was told by GetTrustBundle.");
    gauge!("signet_ca_bundle_sequence", "How often the bundle has changed.");
    gauge!("signet_ca_bundle_roots", "Roots in the bundle.");
    gauge!(
        "signet_ca_next_authority_activates_timestamp_seconds",
        Unit::Seconds,
        "When the authority that waits begins to sign, since 1970; 0 if none waits."
    );
    signet_backends::vault::describe_metrics("signet_ca");
    gauge!(
        "signet_ca_serving_certificate_expires_timestamp_seconds",
        Unit::Seconds,
        "When the CA's own serving certificate expires, since 1970."
    );
    counter!("signet_ca_audit_records_total", "Audit records that are durable.");
    counter!("signet_ca_audit_failed_records_total", "Audit records that could not be written.");
    gauge!("signet_ca_audit_waiting_records", "Audit records that wait to be written.");
    histogram!("signet_ca_audit_commit_seconds", Unit::Seconds, "One write of the audit log.");
    gauge!("signet_ca_audit_writable", "1 while the audit log can be written, else 0.");
}
