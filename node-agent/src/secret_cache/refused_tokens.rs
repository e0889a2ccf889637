//! Tokens that got their holder nothing, remembered for a short while.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::SecretKey;
use crate::trouble::{Trouble, Withheld, hold};

/// Which credentials were refused of late, and how often. Bounded. Pure.
///
/// Envoy retries after every status, so a refused stream is held before it is closed, twice as long each time.
/// The CA's word counts for [`VERDICT_COUNTS_FOR`] only: an operator who mends the CA's configuration mends
/// the streams with it.
#[derive(Debug, Default)]
pub(super) struct RefusedTokens {
    /// Refused since `old` was filled.
    young: HashMap<SecretKey, Refused>,
    /// Refused before, and not since.
    old: HashMap<SecretKey, Refused>,
}

#[derive(Debug)]
struct Refused {
    times: u32,
    last: Instant,
    /// What the CA said, and until when that counts.
    verdict: Option<(Arc<Trouble>, Instant)>,
}

impl RefusedTokens {
    /// The CA refused it.
    pub(super) fn refuse(&mut self, key: SecretKey, why: Arc<Trouble>, now: Instant) -> Withheld {
        let refused = self.count(key, now);
        refused.verdict = Some((Arc::clone(&why), now + VERDICT_COUNTS_FOR));
        Withheld::closing_after(why, hold(refused.times))
    }

    /// It was refused without asking the CA, for what is plain to see.
    pub(super) fn refuse_here(&mut self, key: SecretKey, why: Arc<Trouble>, now: Instant) -> Withheld {
        Withheld::closing_after(why, hold(self.count(key, now).times))
    }

    /// The refusal that still stands, if there is one. Being told it again counts as another.
    pub(super) fn standing(&mut self, key: &SecretKey, now: Instant) -> Option<Withheld> {
        let refused = self.young.get(key).or_else(|| self.old.get(key))?;
        let (why, until) = refused.verdict.clone().filter(|(_, until)| *until > now)?;
        let left = until.saturating_duration_since(now);
        Some(Withheld::closing_after(why, hold(self.count(key.clone(), now).times)).standing_for(left))
    }

    fn count(&mut self, key: SecretKey, now: Instant) -> &mut Refused {
        let known = self.old.remove(&key);
        if self.young.len() >= MOST_REMEMBERED / 2 && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        let never = Refused { times: 0, last: now, verdict: None };
        let refused = self.young.entry(key).or_insert(known.unwrap_or(never));
        if refused.is_forgotten(now) {
            refused.times = 0;
        }
        refused.times = refused.times.saturating_add(1);
        refused.last = now;
        refused
    }
}

impl Refused {
    fn is_forgotten(&self, now: Instant) -> bool {
        self.last + FORGOTTEN_AFTER <= now
    }
}

/// A bound on memory, about 1 MB. The older half is forgotten at once, so that a storm of tokens costs no search.
const MOST_REMEMBERED: usize = 4096;
/// How long the CA's word on a token counts.
pub(crate) const VERDICT_COUNTS_FOR: Duration = Duration::from_secs(30);
/// Longer than the longest hold and Envoy's longest back-off together.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::LazyLock};

    use super::*;

    fn at(seconds: u64) -> Instant {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        *START + Duration::from_secs(seconds)
    }

    fn key(number: usize) -> SecretKey {
        SecretKey::TokenFile(Path::new(&number.to_string()).into())
    }

    fn held(withheld: &Withheld) -> u64 {
        withheld.hold().unwrap().as_secs()
    }

    fn over() -> Arc<Trouble> {
        Arc::new(Trouble::TokenOver)
    }

    #[test]
    fn a_refused_stream_is_held_longer_each_time_up_to_30_s() {
        let mut refused = RefusedTokens::default();
        let holds: Vec<_> = (0..8).map(|_| held(&refused.refuse_here(key(1), over(), at(0)))).collect();
        assert_eq!(holds, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(held(&refused.refuse_here(key(2), over(), at(0))), 1, "another token");
        assert_eq!(held(&refused.refuse_here(key(1), over(), at(120))), 1, "long ago");
    }

    #[test]
    fn the_cas_word_stands_for_a_short_while_however_often_it_is_repeated() {
        let mut refused = RefusedTokens::default();
        refused.refuse(key(1), over(), at(0));
        let holds: Vec<_> =
            [1, 10, 29].map(|second| held(&refused.standing(&key(1), at(second)).unwrap())).into();
        assert_eq!(holds, [2, 4, 8]);
        assert!(refused.standing(&key(1), at(30)).is_none(), "the CA may be asked again");
        assert_eq!(held(&refused.refuse(key(1), over(), at(30))), 16, "but not as if it were new");
    }

    #[test]
    fn what_was_refused_here_is_looked_at_anew_each_time() {
        let mut refused = RefusedTokens::default();
        refused.refuse_here(key(1), over(), at(0));
        assert!(refused.standing(&key(1), at(0)).is_none());
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let mut refused = RefusedTokens::default();
        for number in 0..=MOST_REMEMBERED {
            refused.refuse(key(number), over(), at(0) + Duration::from_micros(number as u64));
        }
        assert!(refused.young.len() + refused.old.len() <= MOST_REMEMBERED);
        assert!(refused.standing(&key(0), at(1)).is_none());
        assert!(refused.standing(&key(MOST_REMEMBERED), at(1)).is_some());
    }
}
