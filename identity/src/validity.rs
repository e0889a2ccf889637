//! From when to when a certificate is valid.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time from `not_before` to `not_after`, both included, in whole seconds (RFC 5280 §4.1.2.5).
///
/// Guarantees `not_before <= not_after`, neither before 1970 nor after 9999-12-31T23:59:59Z, which is
/// what certificates can express.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    not_before: SystemTime,
    not_after: SystemTime,
}

impl Validity {
    /// Both ends are cut to whole seconds.
    pub fn new(not_before: SystemTime, not_after: SystemTime) -> Result<Self, ValidityError> {
        let (not_before, not_after) = (whole_seconds(not_before)?, whole_seconds(not_after)?);
        if not_after < not_before {
            return Err(ValidityError::Reversed);
        }
        Ok(Self { not_before, not_after })
    }

    /// The validity of a leaf issued `now`: it ends `lifetime` from now, but never after its signer, and
    /// begins min(60 s, `lifetime`/10) ago, but never before its signer, so that a peer whose clock is a
    /// little behind accepts it.
    pub fn of_leaf(now: SystemTime, lifetime: Duration, signer: Validity) -> Result<Self, ValidityError> {
        signer.signs_at(now)?;
        let backdated = now.checked_sub(MAX_BACKDATE.min(lifetime / 10)).unwrap_or(UNIX_EPOCH);
        let not_after = now.checked_add(lifetime).unwrap_or(signer.not_after);
        Self::new(backdated.max(signer.not_before), not_after.min(signer.not_after))
    }

    /// Refuses a signer of this validity whose certificate is over at `now`, or not valid yet.
    ///
    /// # Errors
    /// [`ValidityError::SignerNotYetValid`], [`ValidityError::SignerExpired`].
    pub fn signs_at(&self, now: SystemTime) -> Result<(), ValidityError> {
        if now < self.not_before {
            return Err(ValidityError::SignerNotYetValid);
        }
        if now > self.not_after {
            return Err(ValidityError::SignerExpired);
        }
        Ok(())
    }

    /// The first second of the validity.
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// The last second of the validity.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// The same, ending at `end` if that is earlier; it does not end before it begins.
    pub(crate) fn ending_by(self, end: SystemTime) -> Self {
        let end = whole_seconds(end).unwrap_or(self.not_after);
        Self { not_after: end.clamp(self.not_before, self.not_after), ..self }
    }

    /// Is `now` within it?
    pub fn contains(&self, now: SystemTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Does it begin and end within `outer`?
    pub(crate) fn is_within(&self, outer: &Validity) -> bool {
        outer.not_before <= self.not_before && self.not_after <= outer.not_after
    }

    /// From `not_before` to `not_after`.
    pub fn lifetime(&self) -> Duration {
        self.not_after.duration_since(self.not_before).unwrap_or_default()
    }

    /// How much is left at `now`; zero when it is over.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        self.not_after.duration_since(now).unwrap_or_default()
    }
}

/// Why there is no such validity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidityError {
    /// The end lies before the beginning.
    #[error("the validity ends before it begins")]
    Reversed,
    /// A certificate cannot say this time.
    #[error("the validity reaches outside of the years 1970 to 9999, which certificates can express")]
    Inexpressible,
    /// The signer's certificate begins later than now.
    #[error("the signer's certificate is not yet valid")]
    SignerNotYetValid,
    /// The signer's certificate has ended.
    #[error("the signer's certificate has expired")]
    SignerExpired,
}

/// What the clocks of two honest machines may differ by.
pub(crate) const MAX_BACKDATE: Duration = Duration::from_secs(60);
/// 9999-12-31T23:59:59Z, "no well-defined expiration" (RFC 5280 §4.1.2.5).
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_799);

fn whole_seconds(time: SystemTime) -> Result<SystemTime, ValidityError> {
    let since_epoch = time.duration_since(UNIX_EPOCH).map_err(|_| ValidityError::Inexpressible)?;
    let seconds = Duration::from_secs(since_epoch.as_secs());
    if seconds > END_OF_TIME {
        return Err(ValidityError::Inexpressible);
    }
    Ok(UNIX_EPOCH + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn between(not_before: u64, not_after: u64) -> Validity {
        Validity::new(at(not_before), at(not_after)).unwrap()
    }

    #[test]
    fn a_leaf_begins_a_tenth_of_its_life_ago_but_at_most_a_minute() {
        let signer = between(0, 1000 * HOUR);
        for (lifetime, backdated) in [(30, 3), (600, 60), (24 * HOUR, 60)] {
            let leaf = Validity::of_leaf(at(HOUR), Duration::from_secs(lifetime), signer).unwrap();
            assert_eq!(leaf, between(HOUR - backdated, HOUR + lifetime), "lifetime {lifetime} s");
        }
    }

    #[test]
    fn a_leaf_never_outlives_nor_predates_its_signer() {
        let signer = between(HOUR, HOUR + 100);
        let leaf = Validity::of_leaf(at(HOUR + 1), Duration::from_secs(HOUR), signer).unwrap();
        assert_eq!(leaf, signer);
        assert!(leaf.is_within(&signer));
        assert!(!between(HOUR - 1, HOUR + 50).is_within(&signer));
        assert!(!between(HOUR, HOUR + 101).is_within(&signer));
    }

    #[test]
    fn an_endless_lifetime_ends_with_the_signer() {
        let signer = between(0, 100);
        assert_eq!(Validity::of_leaf(at(0), Duration::MAX, signer).unwrap().not_after(), at(100));
    }

    #[test]
    fn a_signer_outside_of_its_own_validity_signs_nothing() {
        let signer = between(10, 20);
        let leaf = |now| Validity::of_leaf(at(now), Duration::from_secs(5), signer);
        assert_eq!(leaf(9), Err(ValidityError::SignerNotYetValid));
        assert_eq!(leaf(21), Err(ValidityError::SignerExpired));
        assert!(leaf(10).is_ok() && leaf(20).is_ok());
    }

    #[test]
    fn fractions_of_a_second_are_cut() {
        let late = at(10) + Duration::from_millis(999);
        assert_eq!(Validity::new(late, late).unwrap(), between(10, 10));
    }

    #[test]
    fn what_a_certificate_cannot_express_is_refused() {
        let before_1970 = UNIX_EPOCH - Duration::from_secs(1);
        let year_10000 = UNIX_EPOCH + END_OF_TIME + Duration::from_secs(1);
        assert_eq!(Validity::new(before_1970, at(0)), Err(ValidityError::Inexpressible));
        assert_eq!(Validity::new(at(0), year_10000), Err(ValidityError::Inexpressible));
        assert_eq!(Validity::new(at(2), at(1)), Err(ValidityError::Reversed));
    }

    #[test]
    fn remaining_is_zero_when_it_is_over() {
        let validity = between(10, 20);
        assert_eq!(validity.remaining(at(15)), Duration::from_secs(5));
        assert_eq!(validity.remaining(at(25)), Duration::ZERO);
        assert_eq!(validity.lifetime(), Duration::from_secs(10));
        for (now, contained) in [(9, false), (10, true), (20, true), (21, false)] {
            assert_eq!(validity.contains(at(now)), contained, "at {now}");
        }
    }
}
