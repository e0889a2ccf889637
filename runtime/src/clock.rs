//! The real clock: the one place that asks the operating system what time it is.

use std::time::SystemTime;

use signet_identity::Clock;

/// Wall time of the machine. Every process has one and hands it down as `Arc<dyn Clock>`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
