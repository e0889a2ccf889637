//! One moment, on both clocks.

use std::time::SystemTime;

use signet_identity::Clock;
use tokio::time::Instant;

/// Certificates and tokens end by the wall; retries, holds and back-off run on timers, which nobody sets back or
/// forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time of day.
    pub wall: SystemTime,
    /// Never goes back. Stands still while the machine sleeps.
    pub timer: Instant,
}

impl Moment {
    /// This very one.
    pub fn now(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), timer: Instant::now() }
    }
}
