//! One call that the breaker let through.

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
            Some(error) if error.is_of_a_hurry(deadline) => self.inner.breaker().unknown(self.pass),
            Some(error) if error.is_outage() => {
                self.inner.breaker().away(self.pass, error, now, fastrand::f64());
            }
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
