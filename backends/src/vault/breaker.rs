//! Keeps everybody from asking a Vault that is away. Pure.
//!
//! Closed, calls go through. Open, they fail at once with what the last one failed of, until a wait is over;
//! then one call goes through as a probe, and its outcome closes it, or opens it for twice as long.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::VaultError;

/// The state of one Vault.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Outages in a row.
    outages: u32,
    open: Option<Open>,
}

/// By what right a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// Like everybody.
    Free,
    /// Alone, to see whether Vault is back.
    Probe,
}

#[derive(Debug)]
struct Open {
    until: Instant,
    cause: Arc<VaultError>,
    /// Somebody is asking whether it is back.
    probing: bool,
}

impl Breaker {
    /// Whether a call may go now; if not, what the last one failed of.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Pass, VaultError> {
        match &mut self.open {
            Some(open) if open.probing || now < open.until => Err(VaultError::Away(Arc::clone(&open.cause))),
            Some(open) => {
                open.probing = true;
                Ok(Pass::Probe)
            }
            None => Ok(Pass::Free),
        }
    }

    /// A call ended, and Vault was there.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// A call found it away. `jitter` is in [0, 1).
    ///
    /// Calls that were under way when the breaker opened say nothing new: a Vault that was slow for a moment
    /// would be left alone for the longer the more of them there were.
    pub(super) fn away(&mut self, pass: Pass, cause: &VaultError, now: Instant, jitter: f64) {
        if self.open.is_some() && pass == Pass::Free {
            return;
        }
        self.outages = self.outages.saturating_add(1);
        let counts = if is_certain(cause) { 1 } else { TOLERATED };
        if pass == Pass::Free && self.outages < counts {
            return;
        }
        let beyond = self.outages.saturating_sub(counts).min(MOST_DOUBLINGS);
        let wait = (FIRST_WAIT * 2_u32.pow(beyond)).min(LONGEST_WAIT);
        let until = now + wait.mul_f64(0.5 + jitter / 2.0);
        self.open = Some(Open { until, cause: Arc::new(cause.clone()), probing: false });
    }

    /// A call ended without saying anything about Vault: it was dropped, or had no time left.
    pub(super) fn unknown(&mut self, pass: Pass) {
        if pass == Pass::Probe
            && let Some(open) = &mut self.open
        {
            open.probing = false;
        }
    }

    /// What keeps calls away, if anything does.
    pub(super) fn cause(&self) -> Option<Arc<VaultError>> {
        self.open.as_ref().map(|open| Arc::clone(&open.cause))
    }
}

/// Vault itself says so; a connection that cannot be made may be a moment's trouble.
fn is_certain(cause: &VaultError) -> bool {
    matches!(
        cause,
        VaultError::Sealed { .. }
            | VaultError::Standby { .. }
            | VaultError::Redirected { .. }
            | VaultError::NotTrusted { .. }
    )
}

/// Outages in a row before nobody else tries.
const TOLERATED: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const MOST_DOUBLINGS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::{
        Pass::{Free, Probe},
        *,
    };

    fn sealed() -> VaultError {
        VaultError::Sealed { address: "https://vault".to_owned() }
    }

    fn timed_out() -> VaultError {
        VaultError::TimedOut { address: "https://vault".to_owned(), after: Duration::from_secs(5) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sealed_vault_is_asked_by_one_and_less_and_less_often() {
        let (mut breaker, begin) = (Breaker::default(), Instant::now());
        let (mut now, mut pass) = (begin, breaker.admit(begin).unwrap());
        for wait in [500, 1000, 2000, 4000, 8000, 10_000, 10_000] {
            breaker.away(pass, &sealed(), now, 1.0);
            let due = now + Duration::from_millis(wait);
            let refused = breaker.admit(due - Duration::from_millis(1)).unwrap_err();
            assert!(
                matches!(refused, VaultError::Away(cause) if matches!(*cause, VaultError::Sealed { .. }))
            );
            pass = breaker.admit(due).unwrap_or_else(|_| panic!("after {wait} ms one may ask"));
            breaker.admit(due).unwrap_err();
            now = due;
        }
        breaker.answered();
        breaker.admit(now).unwrap();
        breaker.admit(now).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_fails_once_or_twice_keeps_nobody_away() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..2 {
            breaker.away(Free, &timed_out(), now, 0.0);
            breaker.admit(now).unwrap();
        }
        breaker.away(Free, &timed_out(), now, 0.0);
        breaker.admit(now).unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_vault_says_of_itself_is_believed_the_first_time() {
        let (address, now) = (|| "https://vault".to_owned(), Instant::now());
        for certain in [
            sealed(),
            VaultError::Standby { address: address() },
            VaultError::Redirected { address: address(), to: address() },
            VaultError::NotTrusted { address: address(), reason: String::new() },
        ] {
            let mut breaker = Breaker::default();
            breaker.away(Free, &certain, now, 0.0);
            assert!(breaker.admit(now).is_err(), "{certain:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_calls_that_fail_together_are_one_outage() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..100 {
            breaker.away(Free, &timed_out(), now, 1.0);
        }
        assert_eq!(breaker.admit(now + FIRST_WAIT).unwrap(), Probe);
        breaker.away(Free, &timed_out(), now + FIRST_WAIT, 1.0);
        breaker.away(Probe, &timed_out(), now + FIRST_WAIT, 1.0);
        breaker.admit(now + FIRST_WAIT * 3 - Duration::from_millis(1)).unwrap_err();
        breaker.admit(now + FIRST_WAIT * 3).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_forgets_failures_before_it() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..10 {
            breaker.away(Free, &timed_out(), now, 0.0);
            breaker.away(Free, &timed_out(), now, 0.0);
            breaker.answered();
        }
        breaker.admit(now).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_says_nothing_leaves_room_for_another() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.away(Free, &sealed(), now, 0.0);
        let due = now + Duration::from_secs(1);
        assert_eq!(breaker.admit(due).unwrap(), Probe);
        breaker.unknown(Free);
        breaker.admit(due).unwrap_err();
        breaker.unknown(Probe);
        breaker.admit(due).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn waits_are_spread_over_half_their_length() {
        let now = Instant::now();
        for (jitter, wait) in [(0.0, 250), (0.5, 375), (1.0, 500)] {
            let mut breaker = Breaker::default();
            breaker.away(Free, &sealed(), now, jitter);
            breaker.admit(now + Duration::from_millis(wait - 1)).unwrap_err();
            breaker.admit(now + Duration::from_millis(wait)).unwrap();
        }
    }
}
