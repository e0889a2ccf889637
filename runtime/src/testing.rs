//! Wall time that moves with tokio's paused clock, so that one `advance` moves timers and certificates alike;
//! a way to wait for what no clock of a test moves: other threads, sockets, files; and a log to read.

#![allow(clippy::panic, reason = "a test that waits in vain fails")]

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

pub use crate::connection::given_to_h2;
use signet_identity::Clock;
use tokio::time::{Instant, sleep, timeout};
use tracing::{
    dispatcher::{DefaultGuard, Dispatch, set_default},
    subscriber::NoSubscriber,
};

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

/// The first answer of `look`, which is asked again and again. On time that is not paused.
///
/// # Panics
/// There is none within a minute, which is far more than anything takes on a machine that is busy with other
/// things.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(answer) = look().await {
                return answer;
            }
            sleep(LOOK_AGAIN).await;
        }
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_elapsed| panic!("not within {PATIENCE:?}: {what}"))
}

const LOOK_AGAIN: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(60);

/// What this thread logs while this exists.
pub struct CapturedLog {
    lines: Lines,
    _guard: DefaultGuard,
    /// While there is one log alone, tracing asks the thread that comes by a line first whether anybody wants
    /// it, for all threads and for good; and other tests' threads have no log.
    _second: Dispatch,
}

impl CapturedLog {
    /// Begins to write down, from `info` upwards.
    pub fn begin() -> Self {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        Self { lines, _guard: set_default(&log.into()), _second: Dispatch::new(NoSubscriber::default()) }
    }

    /// The lines so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.lines.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn advancing_the_timers_advances_the_wall_clock_as_much() {
        let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let clock = TokioClock::starting_at(epoch);

        tokio::time::advance(Duration::from_secs(3600)).await;

        assert_eq!(clock.now(), epoch + Duration::from_secs(3600));
    }
}
