//! One call that the breaker let through.

use std::time::Duration;

use tokio::time::Instant;

use super::Inner;
use crate::vault::{VaultError, breaker::Pass};

/// Whatever becomes of it, dropped half-way included, breaker and metrics hear of it.
pub(super) struct Call<'a> {
    inner: &'a Inner,
    pass: Pass,
    began: Instant,
    said: bool,
}

impl<'a> Call<'a> {
    pub(super) fn begin(inner: &'a Inner, pass: Pass) -> Self {
        inner.metrics.in_flight.increment(1.0);
        Self { inner, pass, began: Instant::now(), said: false }
    }

    pub(super) fn end(mut self, error: Option<&VaultError>, deadline: Instant) {
        self.said = true;
        let now = Instant::now();
        match error {
            // A caller in a hurry says nothing about Vault.
            Some(VaultError::TimedOut { after, .. }) if now >= deadline && *after < LEAST_PATIENCE => {
                self.inner.breaker().unknown(self.pass);
            }
            Some(error) if error.is_outage() => {
                self.inner.breaker().away(self.pass, error, now, fastrand::f64());
            }
            Some(VaultError::NoTime) => self.inner.breaker().unknown(self.pass),
            _ => self.inner.breaker().answered(),
        }
        let away = self.inner.breaker().cause().is_some();
        self.inner.metrics.available.set(if away { 0.0 } else { 1.0 });
        self.inner.metrics.seconds.record(now - self.began);
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.inner.metrics.in_flight.decrement(1.0);
        if !self.said {
            self.inner.breaker().unknown(self.pass);
        }
    }
}

/// Below, a call that found no time for an answer proves no outage.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);
