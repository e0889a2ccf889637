//! A token of Vault's, and what is due when. Pure.

use std::time::Duration;

use tokio::time::Instant;
use zeroize::Zeroizing;

use super::answer::Auth;

/// A token of Vault's. Zeroised when nobody uses it any more.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) secret: Zeroizing<String>,
    /// One of a batch ends by itself and not before.
    is_of_a_batch: bool,
    /// When it was obtained instead of one that was denied something.
    replaced_another: Option<Instant>,
    /// `None`: it does not end.
    pub(super) lease: Option<Lease>,
}

#[derive(Clone, Copy)]
pub(super) struct Lease {
    ends: Instant,
    renew_at: Instant,
    pub(super) renewable: bool,
    /// As the login gave it: a renewal that gives much less has met the token's last end.
    pub(super) full: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// It serves, and will soon not.
    Prolongation,
    Login,
}

impl Token {
    /// `jitter` is in [0, 1).
    pub(super) fn of(auth: Auth, now: Instant, jitter: f64) -> Self {
        let full = Duration::from_secs(auth.lease_duration).min(LONGEST_LEASE);
        let lease = (!full.is_zero()).then(|| Lease {
            ends: now + full,
            renew_at: now + renewed_after(full, jitter),
            renewable: auth.renewable,
            full,
        });
        let is_of_a_batch = auth.token_type == BATCH;
        Self { secret: auth.client_token, is_of_a_batch, replaced_another: None, lease }
    }

    /// The same, as one that takes the place of a denied one.
    pub(super) fn instead_of_a_denied_one(self, now: Instant) -> Self {
        Self { replaced_another: Some(now), ..self }
    }

    /// Whether a login may help when this one is denied something. It may have been revoked; but one that has just
    /// taken the place of another is denied by a policy, and so would the next be.
    pub(super) fn may_be_dead(&self, now: Instant) -> bool {
        self.replaced_another.is_none_or(|obtained| now > obtained + JUST_NOW)
    }

    pub(super) fn due(&self, now: Instant) -> Due {
        match self.lease {
            None => Due::Nothing,
            Some(lease) if now + LAST_MOMENTS >= lease.ends => Due::Login,
            Some(lease) if now < lease.renew_at => Due::Nothing,
            Some(_) => Due::Prolongation,
        }
    }

    /// Whether Vault can be told that it is over, and would not have ended it by then.
    pub(super) fn is_worth_revoking(&self, by: Instant) -> bool {
        !self.is_of_a_batch && self.lease.is_none_or(|lease| by < lease.ends)
    }

    /// `None`: what the renewal gave is so little that only a login helps.
    pub(super) fn stretched(&self, auth: &Auth, now: Instant, jitter: f64) -> Option<Self> {
        let lease = self.lease?;
        let given = Duration::from_secs(auth.lease_duration).min(LONGEST_LEASE);
        if given < lease.full / 2 {
            return None;
        }
        let renew_at = now + renewed_after(given, jitter);
        let lease = Lease { ends: now + given, renew_at, renewable: auth.renewable, ..lease };
        Some(Self { lease: Some(lease), ..self.clone() })
    }

    /// The same, to be renewed a little later.
    pub(super) fn later(&self, now: Instant) -> Self {
        let lease =
            self.lease.map(|lease| Lease { renew_at: now + PAUSE.min((lease.ends - now) / 4), ..lease });
        Self { lease, ..self.clone() }
    }
}

/// Two thirds of the lease, a tenth of it to either side.
fn renewed_after(lease: Duration, jitter: f64) -> Duration {
    lease.mul_f64(2.0 / 3.0 + (jitter - 0.5) / 5.0)
}

/// As Vault calls it.
const BATCH: &str = "batch";

/// How often a denied token is replaced at most.
const JUST_NOW: Duration = Duration::from_secs(10);

/// Between two attempts to prolong a token that still serves.
const PAUSE: Duration = Duration::from_secs(10);

/// As good as for ever, and no number that time cannot be counted by.
const LONGEST_LEASE: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A token that ends so soon may end on its way.
const LAST_MOMENTS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn service(lease_duration: u64) -> Auth {
        let client_token = Zeroizing::new("s.secret".to_owned());
        Auth { client_token, token_type: "service".to_owned(), lease_duration, renewable: true }
    }

    fn batch(lease_duration: u64) -> Auth {
        Auth { token_type: BATCH.to_owned(), renewable: false, ..service(lease_duration) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_at_two_thirds_and_replaced_when_it_cannot_be() {
        let now = Instant::now();
        for (jitter, first) in [(0.0, 56), (0.5, 66), (0.99, 76)] {
            let token = Token::of(service(100), now, jitter);
            assert_eq!(token.due(now + Duration::from_secs(first)), Due::Nothing, "{jitter}");
            assert_eq!(token.due(now + Duration::from_secs(first + 1)), Due::Prolongation, "{jitter}");
            assert_eq!(token.due(now + Duration::from_secs(99)), Due::Login, "its last moments");
        }
        let one_of_a_batch = Token::of(batch(100), now, 0.5);
        assert_eq!(one_of_a_batch.due(now + Duration::from_secs(67)), Due::Prolongation);
        let endless = Token::of(batch(0), now, 0.5);
        assert_eq!(endless.due(now + Duration::from_secs(1 << 30)), Due::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_revoked_if_it_can_be_and_would_outlast_that() {
        let now = Instant::now();
        for (auth, by, revoked) in [
            (service(100), 99, true),
            (service(100), 100, false),
            (service(0), 1 << 30, true),
            (batch(100), 0, false),
        ] {
            let told = format!("{} for {} s", auth.token_type, auth.lease_duration);
            let token = Token::of(auth, now, 0.5);
            assert_eq!(token.is_worth_revoking(now + Duration::from_secs(by)), revoked, "{told}, by {by} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_shrinks_below_half_is_worth_a_login() {
        let (now, token) = (Instant::now(), Token::of(service(100), Instant::now(), 0.5));
        let stretched = token.stretched(&service(50), now, 0.5).unwrap();
        assert_eq!(stretched.due(now + Duration::from_secs(32)), Due::Nothing);
        assert_eq!(stretched.due(now + Duration::from_secs(34)), Due::Prolongation);
        assert!(token.stretched(&service(49), now, 0.5).is_none());
        let twice = stretched.stretched(&service(49), now, 0.5);
        assert!(twice.is_none(), "half of what the login gave, not of the last renewal");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_as_long_as_a_number_can_be_is_as_good_as_endless() {
        let now = Instant::now();
        let token = Token::of(service(u64::MAX), now, 0.5);
        let stretched = token.stretched(&service(u64::MAX), now, 0.5).unwrap();
        for token in [token, stretched] {
            assert_eq!(token.due(now + Duration::from_secs(1 << 26)), Due::Nothing);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_was_not_prolonged_is_tried_again_soon_and_sooner_before_its_end() {
        let now = Instant::now();
        for (left, pause) in [(100, 10), (8, 2)] {
            let token = Token::of(service(1000), now, 0.5).later(now + Duration::from_secs(1000 - left));
            let due = now + Duration::from_secs(1000 - left + pause);
            assert_eq!(token.due(due - Duration::from_millis(1)), Due::Nothing, "{left} s left");
            assert_eq!(token.due(due), Due::Prolongation, "{left} s left");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whether_a_token_can_be_renewed_again_is_what_its_renewal_says() {
        let (now, token) = (Instant::now(), Token::of(service(100), Instant::now(), 0.5));
        for (renewal, renewable) in [(service(80), true), (batch(80), false)] {
            let lease = token.stretched(&renewal, now, 0.5).unwrap().lease.unwrap();
            assert_eq!(lease.renewable, renewable);
        }
    }
}
