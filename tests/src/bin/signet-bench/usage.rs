//! CPU time of a process and of this one, over stretches of time that are known only afterwards.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::processes::{cpu_of, own_cpu};

/// Looks at both processes fifty times a second, for as long as it is held.
pub(crate) struct Usage {
    readings: Arc<Mutex<Vec<Reading>>>,
    _task: JoinSet<()>,
}

/// CPU times so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reading {
    at: Instant,
    times: Times,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// Of the process that is measured.
    pub(crate) server: Duration,
    /// Of this one.
    pub(crate) load: Duration,
}

impl Usage {
    pub(crate) fn of(process: u32) -> Self {
        let readings = Arc::new(Mutex::new(Vec::new()));
        let (mut task, written) = (JoinSet::new(), Arc::clone(&readings));
        task.spawn(async move {
            // A process that has ended is looked at no more.
            while let Ok(reading) = Reading::now(process) {
                written.lock().unwrap().push(reading);
                sleep(EVERY).await;
            }
        });
        Self { readings, _task: task }
    }

    /// What was used from one moment to another, and a reading more at both ends.
    pub(crate) async fn between(&self, from: Instant, to: Instant) -> Result<Times> {
        while self.readings.lock().unwrap().last().is_none_or(|last| last.at < to) {
            sleep(EVERY).await;
        }
        between(&self.readings.lock().unwrap(), from, to).context("no reading of CPU times before")
    }
}

impl Reading {
    fn now(process: u32) -> Result<Self> {
        Ok(Self { at: Instant::now(), times: Times { server: cpu_of(process)?, load: own_cpu() } })
    }
}

/// From the last reading before `from` to the first one after `to`.
fn between(readings: &[Reading], from: Instant, to: Instant) -> Option<Times> {
    let before = readings.iter().rev().find(|reading| reading.at <= from)?.times;
    let after = readings.iter().find(|reading| reading.at >= to)?.times;
    Some(Times { server: after.server - before.server, load: after.load - before.load })
}

const EVERY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_between_two_moments_is_told_from_the_readings_around_them() {
        let start = Instant::now();
        let (ms, times) = (Duration::from_millis, |server, load| Times { server, load });
        let reading = |at, server, load| Reading { at: start + ms(at), times: times(ms(server), ms(load)) };
        let readings = [reading(0, 5, 1), reading(20, 6, 2), reading(40, 16, 7), reading(60, 18, 9)];
        let used = |from, to| between(&readings, start + ms(from), start + ms(to));
        for (name, from, to, expected) in [
            ("within one step", 25, 30, Some(times(ms(10), ms(5)))),
            ("on readings", 20, 60, Some(times(ms(12), ms(7)))),
            ("not over yet", 30, 61, None),
        ] {
            assert_eq!(used(from, to), expected, "{name}");
        }
    }
}
