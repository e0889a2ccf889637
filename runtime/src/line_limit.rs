//! A bound on log lines that strangers can cause.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A bound on log lines: so many at once, then one per `pace`. Strangers must not be able to fill the disk of
/// the log.
#[derive(Debug)]
pub struct LineLimit {
    burst: u32,
    pace: Duration,
    state: Mutex<Spent>,
}

#[derive(Debug)]
struct Spent {
    lines: u32,
    since: Instant,
    suppressed: u64,
}

impl LineLimit {
    /// At most `burst` lines at once, and one more every `pace`.
    pub fn new(burst: u32, pace: Duration) -> Self {
        Self { burst, pace, state: Mutex::new(Spent { lines: 0, since: Instant::now(), suppressed: 0 }) }
    }

    /// Whether a line may be written now, and if so how many were not since the last one.
    pub fn admit(&self) -> Option<u64> {
        let mut spent = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        spent.recover(self.pace);
        if spent.lines == self.burst {
            spent.suppressed += 1;
            return None;
        }
        spent.lines += 1;
        Some(std::mem::take(&mut spent.suppressed))
    }
}

impl Spent {
    /// Gives back one line for each `pace` that has passed.
    fn recover(&mut self, pace: Duration) {
        let paces = self.since.elapsed().as_nanos() / pace.as_nanos().max(1);
        let paces = u32::try_from(paces).unwrap_or(u32::MAX);
        self.lines = self.lines.saturating_sub(paces);
        self.since = if self.lines == 0 { Instant::now() } else { self.since + pace * paces };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_storm_writes_a_burst_and_then_one_line_per_pace() {
        let limit = LineLimit::new(3, Duration::from_secs(1));
        let written = |storm: usize| (0..storm).filter_map(|_| limit.admit()).collect::<Vec<_>>();
        assert_eq!(written(100), [0, 0, 0]);

        tokio::time::advance(Duration::from_secs(1)).await;

        assert_eq!(written(100), [97], "the next line says how many were left out");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_gives_the_burst_back_and_no_more() {
        let limit = LineLimit::new(3, Duration::from_secs(1));
        while limit.admit().is_some() {}

        tokio::time::advance(Duration::from_secs(3600)).await;

        assert_eq!((0..100).filter(|_| limit.admit().is_some()).count(), 3);
    }
}
