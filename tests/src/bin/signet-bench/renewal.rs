//! How evenly identities come back to the CA after they have all begun at once: in simulated time, by the very schedule
//! that the agent runs on.

use std::{ops::Range, time::Duration};

use anyhow::Result;
use fastrand::Rng;
use signet_identity::{Clock, Validity};
use signet_node_agent::{Moment, RotationSchedule};
use signet_runtime::SystemClock;
use tokio::time::Instant;

use crate::{
    parts::Bench,
    report::{Figure, Target},
};

pub(crate) async fn measure(_: &Bench) -> Result<Vec<Figure>> {
    println!("renewing {IDENTITIES} identities for {DAYS} days of simulated time, {RUNS} times ...");
    let start = Moment { wall: SystemClock.now(), timer: Instant::now() };
    let runs: Vec<_> =
        (0..RUNS).map(|seed| hourly_renewals(start, &mut Rng::with_seed(seed))).collect::<Result<_>>()?;
    let peaks = |hours: Range<usize>| runs.iter().map(|run| peak_of_mean(&run[hours.clone()])).collect();
    let first_day = Figure::of("renewal.peak_of_mean.first_day", "ratio", peaks(0..24));
    let spread = Figure::of("renewal.peak_of_mean.spread", "ratio", peaks(SPREAD_FROM * 24..DAYS * 24));
    Ok(vec![first_day.against(Target::Below(3.0)), spread.against(Target::Below(1.3))])
}

/// How many renewals fall into each hour. The first certificates are none: whoever has nothing asks at once.
fn hourly_renewals(start: Moment, dice: &mut Rng) -> Result<Vec<usize>> {
    let mut hourly = vec![0; DAYS * 24];
    let ca = Validity::new(start.wall, start.wall + 2 * LIFETIME * DAYS as u32)?;
    for _ in 0..IDENTITIES {
        let mut after = COMMON_START.mul_f64(dice.f64());
        let mut schedule = RotationSchedule::starting(start.timer);
        loop {
            let now = Moment { wall: start.wall + after, timer: start.timer + after };
            schedule.issued(Validity::of_leaf(now.wall, LIFETIME, ca)?, now, dice.f64());
            after += schedule.wait(now);
            match hourly.get_mut((after.as_secs() / 3600) as usize) {
                Some(renewals) => *renewals += 1,
                None => break,
            }
        }
    }
    Ok(hourly)
}

fn peak_of_mean(hourly: &[usize]) -> f64 {
    let mean = hourly.iter().sum::<usize>() as f64 / hourly.len() as f64;
    hourly.iter().copied().max().unwrap_or_default() as f64 / mean
}

const IDENTITIES: usize = 10_000;
/// The default of the CA.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// A node pool that starts, a CA that comes back.
const COMMON_START: Duration = Duration::from_secs(60);
const DAYS: usize = 14;
/// The day from which ages count as spread: by then an identity has been renewed a dozen times.
const SPREAD_FROM: usize = 7;
/// Each with dice of its own.
const RUNS: u64 = 9;

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn hourly() -> Vec<usize> {
        let start = Moment { wall: SystemTime::UNIX_EPOCH + 500_000 * LIFETIME / 24, timer: Instant::now() };
        hourly_renewals(start, &mut Rng::with_seed(7)).unwrap()
    }

    #[test]
    fn a_common_start_comes_back_spread_over_three_tenths_of_the_lifetime() {
        let hourly = hourly();
        assert_eq!(hourly[..9].iter().sum::<usize>(), 0, "nothing is due before 0.4 of 24 h");
        assert_eq!(hourly[..17].iter().sum::<usize>(), IDENTITIES, "all have come by 0.7 of it");
    }

    #[test]
    fn the_mean_is_what_the_mean_point_of_renewal_makes_it() {
        let hourly = hourly();
        let mean = hourly[SPREAD_FROM * 24..].iter().sum::<usize>() / ((DAYS - SPREAD_FROM) * 24);
        assert!((747..767).contains(&mean), "{mean}, and 10,000 / (0.55 * 24) is 757");
    }

    #[test]
    fn a_peak_is_told_in_means() {
        assert_eq!(peak_of_mean(&[1, 2, 3]), 1.5);
        assert_eq!(peak_of_mean(&[7; 24]), 1.0);
    }
}
