//! When to ask for the next SVID.

use std::time::{Duration, SystemTime};

use signet_identity::Validity;
use tokio::time::Instant;

use crate::moment::Moment;

/// When one SVID is to be asked for next, and until when the held one serves. Pure: the time and the dice
/// are arguments.
///
/// * Whatever is waited for is waited for by the timer, so that a wall clock that is set back delays nothing. A
///   renewal is due by the wall as well: the machine may have slept.
/// * A renewal falls on a uniformly random point in [0.4, 0.7] of what the certificate had left when it
///   arrived. After a cold start of a million workloads within a minute this flattens the herd about three
///   times better than half the lifetime +/- 10 %.
///   Counting from arrival and not from `notBefore` keeps an agent from asking in a loop when a CA backdates
///   by more than it grants.
/// * A failure backs off with full jitter up to 5 s with nothing in hand and up to 60 s with a certificate that
///   still serves, and always leaves room for another attempt before it dies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationSchedule {
    held: Option<Validity>,
    due: Instant,
    /// The same by the wall, of a renewal that was not attempted yet.
    due_by_wall: Option<SystemTime>,
    failures: u32,
}

impl RotationSchedule {
    /// Nothing is held, and the first attempt is due at once.
    pub fn starting(now: Instant) -> Self {
        Self { held: None, due: now, due_by_wall: None, failures: 0 }
    }

    /// A certificate has come. `jitter` is drawn from [0, 1).
    pub fn issued(&mut self, validity: Validity, now: Moment, jitter: f64) {
        let share = EARLIEST_RENEWAL + (LATEST_RENEWAL - EARLIEST_RENEWAL) * jitter.clamp(0.0, 1.0);
        let wait = validity.remaining(now.wall).mul_f64(share).max(SHORTEST_RENEWAL);
        *self = Self {
            held: Some(validity),
            due: now.timer + wait,
            due_by_wall: Some(now.wall + wait),
            failures: 0,
        };
    }

    /// An attempt has failed. `jitter` is drawn from [0, 1); `at_least` is what the CA asked for, zero when it
    /// asked for nothing. It is heard within the bounds above: nobody goes without for longer, and no
    /// certificate dies for it.
    pub fn failed(&mut self, now: Moment, jitter: f64, at_least: Duration) {
        let longest = self.longest_back_off(now.wall);
        let doubled = FIRST_BACK_OFF.saturating_mul(1 << self.failures.min(MOST_DOUBLINGS));
        let wait = doubled.min(longest).mul_f64(jitter.clamp(0.0, 1.0)).max(at_least.min(longest));
        self.due = now.timer + wait.max(SHORTEST_BACK_OFF);
        self.due_by_wall = None;
        self.failures = self.failures.saturating_add(1);
    }

    /// What stood in the way is gone: an attempt that was put off is due at once. A renewal that was never
    /// attempted keeps its time.
    pub fn retry_now(&mut self, now: Instant) {
        if self.failures > 0 {
            self.due = self.due.min(now);
        }
    }

    /// What is held has become worthless: an attempt is due no later than `at`.
    pub fn hasten(&mut self, at: Instant) {
        self.due = self.due.min(at);
    }

    /// How long until the next attempt; zero when it is due.
    pub fn wait(&self, now: Moment) -> Duration {
        let by_timer = self.due.saturating_duration_since(now.timer);
        let by_wall = self.due_by_wall.map(|due| due.duration_since(now.wall).unwrap_or_default());
        by_wall.map_or(by_timer, |wait| wait.min(by_timer))
    }

    /// Failed attempts since the last certificate.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The end of the certificate in hand; `None` when there is none or it is dead.
    pub fn serves_until(&self, now: SystemTime) -> Option<SystemTime> {
        self.held.map(|held| held.not_after()).filter(|end| *end > now)
    }

    fn longest_back_off(&self, now: SystemTime) -> Duration {
        match self.held.map(|held| held.remaining(now)).filter(|left| !left.is_zero()) {
            Some(left) => LONGEST_BACK_OFF.min(left / 2),
            None => LONGEST_BACK_OFF_WITH_NOTHING,
        }
    }
}

const EARLIEST_RENEWAL: f64 = 0.4;
const LATEST_RENEWAL: f64 = 0.7;
/// However short-lived the certificates are that a CA grants, it is not asked more often.
const SHORTEST_RENEWAL: Duration = Duration::from_secs(1);
/// A die that shows 0 must not make a loop.
const SHORTEST_BACK_OFF: Duration = Duration::from_millis(100);
const FIRST_BACK_OFF: Duration = Duration::from_millis(500);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);
const LONGEST_BACK_OFF_WITH_NOTHING: Duration = Duration::from_secs(5);
/// 500 ms doubled seven times is past every ceiling.
const MOST_DOUBLINGS: u32 = 7;

#[cfg(test)]
mod tests;
