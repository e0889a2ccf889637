//! When the requests of an open loop start.

use std::time::Duration;

use fastrand::Rng;

/// A Poisson process: the gaps between requests are independent and exponentially distributed, as those of many clients
/// that know nothing of each other. Requests that come at even intervals would never queue below saturation, and the
/// tail would look better than anybody's.
///
/// Yields the start of each request, counted from the beginning, in order, until `lasts` is over.
#[derive(Debug)]
pub(super) struct Arrivals {
    mean_gap: Duration,
    at: Duration,
    lasts: Duration,
    dice: Rng,
}

impl Arrivals {
    /// `rate` is the mean, in requests a second, and positive.
    pub(super) fn new(rate: f64, lasts: Duration, dice: Rng) -> Self {
        Self { mean_gap: Duration::from_secs_f64(1.0 / rate), at: Duration::ZERO, lasts, dice }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // `1 - f64()` is in (0, 1]: its logarithm is finite.
        self.at += self.mean_gap.mul_f64(-(1.0 - self.dice.f64()).ln());
        (self.at < self.lasts).then_some(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(rate: f64, seconds: u64) -> Vec<Duration> {
        Arrivals::new(rate, Duration::from_secs(seconds), Rng::with_seed(7)).collect()
    }

    #[test]
    fn as_many_come_as_the_rate_says_and_in_order() {
        let arrivals = arrivals(1_000.0, 100);
        // The standard deviation of 100,000 arrivals is 316.
        assert!((98_500..101_500).contains(&arrivals.len()), "{}", arrivals.len());
        assert!(arrivals.is_sorted());
        assert!(arrivals.iter().all(|at| *at < Duration::from_secs(100)));
    }

    #[test]
    fn the_gaps_are_those_of_clients_that_know_nothing_of_each_other() {
        let arrivals = arrivals(1_000.0, 100);
        let gaps = || arrivals.windows(2).map(|pair| pair[1] - pair[0]);
        let longer = |than: u64| {
            gaps().filter(|gap| *gap > Duration::from_millis(than)).count() as f64 / gaps().count() as f64
        };
        for (than, share) in [(1, 0.368), (2, 0.135), (3, 0.050)] {
            assert!((longer(than) - share).abs() < 0.01, "{} of the gaps are over {than} ms", longer(than));
        }
    }
}
