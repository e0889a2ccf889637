//! Wall time that moves with tokio's paused clock, so that one `advance` moves timers and certificates alike.

use std::time::SystemTime;

use signet_identity::Clock;
use tokio::time::Instant;

/// A clock that started at a chosen moment and goes on as tokio's does: by `tokio::time::advance`, or by the
/// automatic advance of a paused runtime.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    wall: SystemTime,
    started: Instant,
}

impl TokioClock {
    /// A clock that reads `wall` now. Call it on a tokio runtime.
    pub fn starting_at(wall: SystemTime) -> Self {
        Self { wall, started: Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> SystemTime {
        self.wall + self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn advancing_the_timers_advances_the_wall_clock_as_much() {
        let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let clock = TokioClock::starting_at(epoch);

        tokio::time::advance(Duration::from_secs(3600)).await;

        assert_eq!(clock.now(), epoch + Duration::from_secs(3600));
    }
}
