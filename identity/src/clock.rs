//! The time of day, as a dependency.

use std::time::SystemTime;
#[cfg(any(test, feature = "testing"))]
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Wall time: the only way any of our crates learns what time it is, so that tests advance it and never
/// sleep. Timers (deadlines, back-off) are tokio's and not this trait's business.
pub trait Clock: Send + Sync + 'static {
    /// The time now. May jump in either direction, as wall clocks do.
    fn now(&self) -> SystemTime;
}

/// A clock for tests: it stands still until it is told to move.
#[cfg(any(test, feature = "testing"))]
#[derive(Debug)]
pub struct ManualClock(Mutex<SystemTime>);

#[cfg(any(test, feature = "testing"))]
impl ManualClock {
    /// A clock that stands at `time`.
    pub fn at(time: SystemTime) -> Self {
        Self(Mutex::new(time))
    }

    /// Moves forward by `duration`.
    pub fn advance(&self, duration: Duration) {
        let mut time = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *time += duration;
    }
}

#[cfg(any(test, feature = "testing"))]
impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
        assert_eq!(clock.now(), clock.now());
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(5));
    }
}
