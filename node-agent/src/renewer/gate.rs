//! How many calls the CA gets at a time.

use std::time::Duration;

use signet_client::Reachability;
use tokio::time::Instant;

/// Opens wide while the CA answers, and lets one probe through at a time while it does not. Pure.
///
/// Two hundred proxies that wait must not mean two hundred calls a few seconds into a dead line.
#[derive(Debug, Default)]
pub(super) struct Gate {
    failures: u32,
    next_probe: Option<Instant>,
}

impl Gate {
    /// Whether one more call may start.
    pub(super) fn admits(&self, reachability: Reachability, in_flight: usize, now: Instant) -> bool {
        match reachability {
            Reachability::Reachable => in_flight < MOST_IN_FLIGHT,
            Reachability::Unknown | Reachability::Disconnected | Reachability::Failing => {
                in_flight == 0 && self.next_probe.is_none_or(|probe| probe <= now)
            }
        }
    }

    /// When the next probe may start, if that is what is waited for.
    pub(super) fn next_release(&self, now: Instant) -> Option<Instant> {
        self.next_probe.filter(|probe| *probe > now)
    }

    /// A call found no CA. `jitter` is drawn from [0, 1).
    pub(super) fn found_no_ca(&mut self, now: Instant, jitter: f64) {
        let ceiling = FIRST_PROBE.saturating_mul(1 << self.failures.min(4)).min(LONGEST_PROBE);
        self.next_probe = Some(now + ceiling.mul_f64(jitter.clamp(0.0, 1.0)).max(SHORTEST_PROBE));
        self.failures = self.failures.saturating_add(1);
    }

    /// The CA is there.
    pub(super) fn found_ca(&mut self) {
        *self = Self::default();
    }
}

/// Calls in flight to the CA. Ten times what one CA core signs within a round trip of 1 ms.
pub(super) const MOST_IN_FLIGHT: usize = 16;
const FIRST_PROBE: Duration = Duration::from_millis(500);
const SHORTEST_PROBE: Duration = Duration::from_millis(100);
/// A proxy that has nothing waits no longer than this for the CA's return to be seen.
const LONGEST_PROBE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_that_answers_gets_sixteen_calls_and_one_that_does_not_gets_one() {
        let (gate, now) = (Gate::default(), Instant::now());
        for (reachability, most) in [
            (Reachability::Reachable, MOST_IN_FLIGHT),
            (Reachability::Unknown, 1),
            (Reachability::Disconnected, 1),
            (Reachability::Failing, 1),
        ] {
            assert!(gate.admits(reachability, most - 1, now), "{reachability:?}");
            assert!(!gate.admits(reachability, most, now), "{reachability:?}");
        }
    }

    #[test]
    fn probes_back_off_to_five_seconds_and_start_afresh_when_the_ca_is_found() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..6 {
            gate.found_no_ca(now, 1.0);
            let next = gate.next_release(now).unwrap();
            assert!(!gate.admits(Reachability::Failing, 0, next - Duration::from_millis(1)));
            assert!(gate.admits(Reachability::Failing, 0, next));
            waits.push(next.duration_since(now).as_millis());
        }
        assert_eq!(waits, [500, 1000, 2000, 4000, 5000, 5000]);
        gate.found_ca();
        assert!(gate.admits(Reachability::Failing, 0, now));
        gate.found_no_ca(now, 0.0);
        assert_eq!(gate.next_release(now), Some(now + SHORTEST_PROBE), "the dice make no loop");
    }
}
