//! Waiting for a moment, to a few microseconds: the runtime's own timers round up to the next millisecond, which is
//! several times what an issuance takes.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::yield_now;
use tokio::time::Instant;

/// A high-resolution timer of the kernel (timerfd_create(2)).
#[derive(Debug)]
pub(super) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// # Errors
    /// The system has no descriptor left.
    #[allow(
        deprecated,
        reason = "its successor is unsafe, for the sake of types that close or change their descriptor; ours owns it"
    )]
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self(AsyncFd::with_interest(timer, Interest::READABLE)?))
    }

    /// Returns once `moment` has come. Lets others run also when it has passed already: a load that is behind its
    /// schedule must not keep the answers from being read.
    pub(super) async fn until(&self, moment: Instant) -> io::Result<()> {
        let wait = moment.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            yield_now().await;
            return Ok(());
        }
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once(wait))?;
        let mut expired = [0; 8];
        self.0.async_io(Interest::READABLE, |timer| Ok(rustix::io::read(timer, &mut expired)?)).await?;
        Ok(())
    }
}

fn once(wait: Duration) -> Itimerspec {
    let never = Timespec { tv_sec: 0, tv_nsec: 0 };
    Itimerspec { it_interval: never, it_value: wait.try_into().unwrap_or(never) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_rings_when_the_moment_has_come_and_not_before() {
        let alarm = Alarm::new().unwrap();
        for wait in [Duration::ZERO, Duration::from_micros(300), Duration::from_millis(2), Duration::ZERO] {
            let moment = Instant::now() + wait;
            alarm.until(moment).await.unwrap();
            assert!(Instant::now() >= moment, "{wait:?}");
        }
    }
}
