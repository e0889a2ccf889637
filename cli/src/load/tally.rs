//! What became of the requests of a load.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::output::status_name;
use hdrhistogram::{CreationError, Histogram};
use signet_client::{CaError, Issued, Outage, Refusal};

/// Requests that are done, by how they ended. A request that failed counts once, in the first row that it fits.
#[derive(Debug, Clone)]
pub struct Tally {
    /// From the scheduled start of each request that was issued a certificate to its answer; in a closed loop it
    /// started when it was scheduled.
    pub latency: Latencies,
    /// How far behind its schedule an open loop was when it started a request. Where this is not small, it is the load
    /// generator that was measured.
    pub lateness: Latencies,
    /// By gRPC status, such as `RESOURCE_EXHAUSTED`.
    pub refused: BTreeMap<String, Refusals>,
    /// No answer within the deadline, the client's or the CA's.
    pub timed_out: u64,
    /// There was no connection, or it broke under the request.
    pub disconnected: u64,
    /// Answers that make no sense.
    pub malformed: u64,
    /// Due, and not sent: as many requests were in flight as an open loop may have.
    pub not_sent: u64,
    /// The first failure, in words.
    pub first_failure: Option<String>,
    /// From the beginning to the last answer; so far, while the load runs.
    pub lasted: Duration,
}

/// Refusals under one status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refusals {
    /// All of them.
    pub count: u64,
    /// Those that said when to come back (`google.rpc.RetryInfo`).
    pub with_retry_delay: u64,
}

impl Tally {
    /// # Errors
    /// No memory for the histograms.
    pub(super) fn new() -> Result<Self, CreationError> {
        Ok(Self {
            latency: Latencies::new()?,
            lateness: Latencies::new()?,
            refused: BTreeMap::new(),
            timed_out: 0,
            disconnected: 0,
            malformed: 0,
            not_sent: 0,
            first_failure: None,
            lasted: Duration::ZERO,
        })
    }

    /// Certificates issued.
    pub fn issued(&self) -> u64 {
        self.latency.count()
    }

    /// Requests refused, under any status.
    pub fn refusals(&self) -> u64 {
        self.refused.values().map(|refusals| refusals.count).sum()
    }

    /// Requests that brought no certificate.
    pub fn failed(&self) -> u64 {
        self.refusals() + self.timed_out + self.disconnected + self.malformed + self.not_sent
    }

    /// Certificates a second, from the beginning to the last answer.
    pub fn rate(&self) -> f64 {
        let seconds = self.lasted.as_secs_f64();
        if seconds > 0.0 { self.issued() as f64 / seconds } else { 0.0 }
    }

    /// Counts a request that ended `latency` after its scheduled start.
    pub(super) fn count(&mut self, latency: Duration, outcome: &Result<Issued, CaError>) {
        let error = match outcome {
            Ok(_) => return self.latency.record(latency),
            Err(error) => error,
        };
        match error {
            CaError::TokenRefused(refusal) | CaError::Denied(refusal) | CaError::Overloaded(refusal) => {
                self.refuse(refusal);
            }
            CaError::Unavailable(Outage::Answered(refusal)) if is_out_of_time(refusal) => self.timed_out += 1,
            CaError::Unavailable(Outage::Answered(refusal)) => self.refuse(refusal),
            CaError::Unavailable(Outage::NoAnswer { .. }) => self.timed_out += 1,
            CaError::Unavailable(
                Outage::Disconnected { .. } | Outage::NotServing { .. } | Outage::Broken { .. },
            ) => self.disconnected += 1,
            CaError::MalformedAnswer(_) => self.malformed += 1,
        }
        self.first_failure.get_or_insert_with(|| in_words(error));
    }

    fn refuse(&mut self, refusal: &Refusal) {
        let refusals = self.refused.entry(status(refusal)).or_default();
        refusals.count += 1;
        refusals.with_retry_delay += u64::from(refusal.retry_after.is_some());
    }
}

/// Times, to three significant digits, up to a minute.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    pub(super) fn new() -> Result<Self, CreationError> {
        Ok(Self(Histogram::new_with_bounds(1, LONGEST_MICROS, 3)?))
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that a share of them (0.5, 0.99, 0.999) did not exceed. Zero when there are none.
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(share))
    }

    pub(super) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(LONGEST_MICROS));
    }
}

fn is_out_of_time(refusal: &Refusal) -> bool {
    status(refusal) == "DEADLINE_EXCEEDED"
}

fn status(refusal: &Refusal) -> String {
    status_name(refusal.code)
}

/// With everything that caused it.
fn in_words(error: &CaError) -> String {
    format!("{:#}", anyhow::Error::new(error.clone()))
}

/// Ten times what a request may take.
const LONGEST_MICROS: u64 = 60_000_000;

#[cfg(test)]
mod tests;
