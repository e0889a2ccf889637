//! When the CA is asked for the roots alone.

use std::time::Duration;

use signet_client::Reachability;
use tokio::time::Instant;

/// One question at a time: once a minute, and at once over each new connection. Pure: the time and the dice
/// are arguments.
///
/// While there is nobody to ask, nothing is asked: the connection that ends this makes the next question due.
/// Where nothing is known yet, a failure is followed by the next attempt within 5 s, for proxies wait.
#[derive(Debug)]
pub(super) struct BundlePoll {
    /// `None`: by the answer that is waited for.
    due: Option<Instant>,
    asking: bool,
    failures: u32,
}

/// How a question has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The roots are known as of now.
    Told,
    /// This CA does not tell them alone.
    NotOffered,
    /// There was no answer, or none of use.
    Failed {
        /// How long the CA wants to be left alone.
        at_least: Duration,
        /// Whether any roots are known.
        holds_roots: bool,
    },
}

impl Ended {
    /// Every word of [`outcome`](Self::outcome).
    pub(super) const OUTCOMES: [&str; 3] = ["told", "not_offered", "failed"];

    /// One word for the metric: one of [`OUTCOMES`](Self::OUTCOMES).
    pub(super) fn outcome(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::NotOffered => "not_offered",
            Self::Failed { .. } => "failed",
        }
    }
}

impl BundlePoll {
    /// Due as soon as there is a CA.
    pub(super) fn starting(now: Instant) -> Self {
        Self { due: Some(now), asking: false, failures: 0 }
    }

    /// There is a CA, or another connection to it: the replica behind it may know more.
    pub(super) fn found_ca(&mut self, now: Instant) {
        self.due = Some(now);
    }

    /// Whether to ask now. Who is told so does, and says how it [`ended`](Self::ended).
    pub(super) fn begins(&mut self, reachability: Reachability, now: Instant) -> bool {
        let begins = self.next(reachability).is_some_and(|due| due <= now);
        if begins {
            (self.due, self.asking) = (None, true);
        }
        begins
    }

    /// When to ask next, if that is what is waited for.
    pub(super) fn next(&self, reachability: Reachability) -> Option<Instant> {
        match reachability {
            // A CA that issues nothing may well say whom to trust.
            Reachability::Reachable | Reachability::Failing => self.due.filter(|_| !self.asking),
            Reachability::Unknown | Reachability::Disconnected => None,
        }
    }

    /// The question has ended. `jitter` is drawn from [0, 1).
    pub(super) fn ended(&mut self, ended: Ended, now: Instant, jitter: f64) {
        let about = |time: Duration| time.mul_f64(0.9 + jitter.clamp(0.0, 1.0) / 5.0);
        let wait = match ended {
            Ended::Told => about(EVERY),
            Ended::NotOffered => about(RARELY),
            Ended::Failed { at_least, holds_roots } => {
                let longest = if holds_roots { EVERY } else { LONGEST_WITH_NOTHING };
                let doubled = FIRST_BACK_OFF.saturating_mul(1 << self.failures.min(MOST_DOUBLINGS));
                let wait = doubled.min(longest).mul_f64(jitter.clamp(0.0, 1.0)).max(at_least.min(longest));
                wait.max(SHORTEST_BACK_OFF)
            }
        };
        let failed = matches!(ended, Ended::Failed { .. });
        self.failures = if failed { self.failures.saturating_add(1) } else { 0 };
        self.asking = false;
        self.due.get_or_insert(now + wait);
    }

    /// Failures since the last answer.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}

/// A fifth of the shortest overlap that anybody would give a new root.
const EVERY: Duration = Duration::from_secs(60);
/// A CA is not replaced by another without its connections ending, unless somebody stands between.
const RARELY: Duration = Duration::from_secs(1800);
const LONGEST_WITH_NOTHING: Duration = Duration::from_secs(5);
const FIRST_BACK_OFF: Duration = Duration::from_millis(500);
/// A die that shows 0 must not make a loop.
const SHORTEST_BACK_OFF: Duration = Duration::from_millis(100);
/// 500 ms doubled seven times is past every ceiling.
const MOST_DOUBLINGS: u32 = 7;

#[cfg(test)]
mod tests {
    use Reachability::{Disconnected, Failing, Reachable, Unknown};

    use super::*;

    const FAILED_WITH_NOTHING: Ended = Ended::Failed { at_least: Duration::ZERO, holds_roots: false };
    const FAILED_WITH_ROOTS: Ended = Ended::Failed { at_least: Duration::ZERO, holds_roots: true };

    /// The wait after this end, or ends.
    fn wait(ends: &[Ended], jitter: f64) -> Duration {
        let now = Instant::now();
        let mut poll = BundlePoll::starting(now);
        for ended in ends {
            poll.found_ca(now);
            assert!(poll.begins(Reachable, now));
            poll.ended(*ended, now, jitter);
        }
        poll.next(Reachable).unwrap() - now
    }

    #[test]
    fn it_is_asked_once_a_minute_more_or_less_and_rarely_where_it_is_not_offered() {
        for (name, ended, jitter, seconds) in [
            ("told, at the earliest", Ended::Told, 0.0, 54),
            ("told, at the latest", Ended::Told, 1.0, 66),
            ("not offered, at the earliest", Ended::NotOffered, 0.0, 27 * 60),
            ("not offered, at the latest", Ended::NotOffered, 1.0, 33 * 60),
        ] {
            assert_eq!(wait(&[ended], jitter), Duration::from_secs(seconds), "{name}");
        }
    }

    #[test]
    fn failures_back_off_to_5_s_with_nothing_and_to_a_minute_with_roots() {
        for (name, failed, waits) in [
            ("with nothing", FAILED_WITH_NOTHING, [500, 1000, 2000, 4000, 5000, 5000, 5000, 5000]),
            ("with roots", FAILED_WITH_ROOTS, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000]),
        ] {
            for (failures, millis) in (1..).zip(waits) {
                let ends = vec![failed; failures];
                assert_eq!(wait(&ends, 1.0).as_millis(), millis, "{name}, {failures} failures");
            }
        }
        assert_eq!(wait(&[FAILED_WITH_NOTHING], 0.0), SHORTEST_BACK_OFF, "the dice make no loop");
        assert_eq!(
            wait(&[FAILED_WITH_ROOTS, FAILED_WITH_ROOTS, Ended::Told, FAILED_WITH_ROOTS], 1.0),
            FIRST_BACK_OFF,
            "afresh"
        );
    }

    #[test]
    fn a_ca_that_wants_to_be_left_alone_is_within_bounds() {
        for (holds_roots, wants, gets) in [(true, 30, 30), (true, 300, 60), (false, 3, 3), (false, 30, 5)] {
            let ended = Ended::Failed { at_least: Duration::from_secs(wants), holds_roots };
            assert_eq!(wait(&[ended], 0.0), Duration::from_secs(gets), "{holds_roots}, {wants} s");
        }
    }

    #[test]
    fn nobody_is_asked_while_there_is_nobody_and_each_new_connection_is_asked_at_once() {
        let now = Instant::now();
        let mut poll = BundlePoll::starting(now);
        assert!(!poll.begins(Unknown, now) && !poll.begins(Disconnected, now));
        assert!(poll.begins(Failing, now), "it may tell its roots though it issues nothing");
        assert!(!poll.begins(Reachable, now) && poll.next(Reachable).is_none(), "one at a time");

        poll.found_ca(now);
        assert!(!poll.begins(Reachable, now), "one at a time, over whatever connection");
        poll.ended(Ended::Told, now, 0.5);
        assert!(poll.begins(Reachable, now), "that was the word of the last one");
        poll.ended(Ended::NotOffered, now, 0.5);
        assert!(!poll.begins(Reachable, now));
        poll.found_ca(now);
        assert!(poll.begins(Reachable, now), "it may be another CA");
    }
}
