//! When an operator is told that a certificate is about to end.

use std::time::{Duration, SystemTime};

use humantime::format_rfc3339_seconds;
use signet_identity::Validity;

/// Tells from 30 % of the life that is left, and again each hour; from the end on, each minute.
#[derive(Debug, Default)]
pub(crate) struct ExpiryAlarm {
    told: Option<SystemTime>,
}

/// What is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// It ends soon.
    Expiring,
    /// It has ended.
    Expired,
}

impl ExpiryAlarm {
    /// What to tell at `now`, if anything.
    pub(crate) fn look(&mut self, validity: Validity, now: SystemTime) -> Option<Alarm> {
        let (alarm, pause) = match remaining_ratio(validity, now) {
            0.0 => (Alarm::Expired, Duration::from_secs(60)),
            ratio if ratio <= WARN_FROM => (Alarm::Expiring, Duration::from_secs(3600)),
            _ => {
                self.told = None;
                return None;
            }
        };
        // A clock that was set back leaves a time that has not come: it must not silence the alarm until then.
        let due = self.told.is_none_or(|told| now.duration_since(told).map_or(true, |since| since >= pause));
        due.then(|| {
            self.told = Some(now);
            alarm
        })
    }
}

/// How much of its life is left, from 1 to 0.
pub(super) fn remaining_ratio(validity: Validity, now: SystemTime) -> f64 {
    let lifetime = validity.lifetime().as_secs_f64().max(1.0);
    (validity.remaining(now).as_secs_f64() / lifetime).min(1.0)
}

/// Writes an alarm into the log.
pub(super) fn tell(alarm: &Alarm, key_id: &str, validity: Validity) {
    let expires_at = format_rfc3339_seconds(validity.not_after());
    match alarm {
        Alarm::Expiring => tracing::warn!(
            authority = key_id, %expires_at,
            "the certificate that signs ends soon, and no leaf outlives it; give the CA another"
        ),
        Alarm::Expired => tracing::error!(
            authority = key_id, %expires_at,
            "the certificate that signs has ended: nothing is issued until the CA has another"
        ),
    }
}

const WARN_FROM: f64 = 0.3;

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const HOUR: u64 = 3600;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn an_operator_is_told_from_thirty_percent_on_each_hour_and_each_minute_when_it_is_over() {
        let validity = Validity::new(at(0), at(100 * HOUR)).unwrap();
        let mut alarm = ExpiryAlarm::default();
        for (when, told) in [
            (69 * HOUR, None),
            (70 * HOUR, Some(Alarm::Expiring)),
            (70 * HOUR + 1, None),
            (71 * HOUR, Some(Alarm::Expiring)),
            (99 * HOUR, Some(Alarm::Expiring)),
            (100 * HOUR, Some(Alarm::Expired)),
            (100 * HOUR + 59, None),
            (100 * HOUR + 60, Some(Alarm::Expired)),
        ] {
            assert_eq!(alarm.look(validity, at(when)), told, "at {when}");
        }
        assert_eq!(alarm.look(validity, at(75 * HOUR)), Some(Alarm::Expiring), "the clock was set back");
        let renewed = Validity::new(at(100 * HOUR), at(200 * HOUR)).unwrap();
        assert_eq!(alarm.look(renewed, at(101 * HOUR)), None);
        assert_eq!(alarm.look(renewed, at(171 * HOUR)), Some(Alarm::Expiring));
        let short = Validity::new(at(171 * HOUR), at(172 * HOUR)).unwrap();
        assert_eq!(alarm.look(short, at(171 * HOUR)), None);
        assert_eq!(alarm.look(short, at(172 * HOUR - 1)), Some(Alarm::Expiring), "its first");
    }
}
