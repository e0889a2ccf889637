//! What Vault's rate limit asks of one caller, kept by all. Pure.
//!
//! A quota counts what a client asks, whoever of its callers does: if each came back by itself, most of what
//! Vault hears would be requests that it has to turn away.

use std::time::Duration;

use tokio::time::Instant;

/// Until when nobody asks.
#[derive(Debug, Default)]
pub(super) struct Limit {
    until: Option<Instant>,
}

impl Limit {
    /// Vault turned somebody away at `now`, and said for how long.
    pub(super) fn reached(&mut self, retry_after: Option<Duration>, now: Instant) {
        let until = now + retry_after.unwrap_or_default().clamp(LEAST, MOST);
        self.until = Some(self.until.map_or(until, |before| before.max(until)));
    }

    /// How long nobody may ask yet, if that is so.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        self.until.and_then(|until| until.checked_duration_since(now)).filter(|left| !left.is_zero())
    }
}

/// Vault says for how long only if it was told to, and OpenBao 2.4 says 0 of what is left of a second.
const LEAST: Duration = Duration::from_millis(500);

/// Whatever Vault says: a quota may have been raised meanwhile, and it costs a request to learn of it.
const MOST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn everybody_waits_for_the_longest_that_anybody_was_told() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        assert_eq!(limit.left(now), None);
        limit.reached(Some(3 * SECOND), now);
        limit.reached(Some(SECOND), now);
        limit.reached(None, now);
        assert_eq!(limit.left(now + SECOND), Some(2 * SECOND));
        assert_eq!(limit.left(now + 3 * SECOND), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_for_ever_is_kept_for_half_a_minute() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        limit.reached(Some(Duration::MAX), now);
        assert_eq!(limit.left(now), Some(MOST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_does_not_say_for_how_long_is_kept_for_a_moment() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        for unsaid in [None, Some(Duration::ZERO)] {
            limit.reached(unsaid, now);
            assert_eq!(limit.left(now), Some(LEAST));
        }
    }
}
