//! Which proxies are asked to come back with a fresh token, and how many at a time.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::{peer::PeerKey, secret_cache::SecretKey};

/// Streams that are to be closed because their token can no longer renew. Pure.
///
/// The earliest expiry goes first, and no more than [`MOST_AWAY`] proxies are away at once: if they do not
/// come back, few are the worse for it. No more than [`MOST_AWAY_OF_A_PEER`] of them are any one peer's, so that
/// a pod with a thousand dead tokens does not delay another's recall, nor one that has only dead ones its own.
#[derive(Debug, Default)]
pub(crate) struct Recalls {
    /// By the end of the certificate, then by arrival.
    due: BTreeMap<(SystemTime, u64), Due>,
    arrivals: u64,
    away: VecDeque<Away>,
}

#[derive(Debug)]
struct Due {
    key: SecretKey,
    peer: PeerKey,
}

#[derive(Debug)]
struct Away {
    peer: PeerKey,
    given_up_at: Instant,
}

impl Recalls {
    /// The certificate of this entry of the peer's ends at `expiry`, and its token is dead.
    pub(crate) fn add(&mut self, key: SecretKey, peer: PeerKey, expiry: SystemTime) {
        self.arrivals += 1;
        self.due.insert((expiry, self.arrivals), Due { key, peer });
    }

    /// This entry needs no recall any more.
    pub(crate) fn forget(&mut self, key: &SecretKey) {
        self.due.retain(|_, due| due.key != *key);
    }

    /// The entry that should come first.
    pub(crate) fn earliest(&self) -> Option<&SecretKey> {
        self.due.values().next().map(|due| &due.key)
    }

    /// Takes the entry whose streams are to be closed now. Its peer is away from then on.
    pub(crate) fn next(&mut self, now: Instant) -> Option<SecretKey> {
        self.away.retain(|away| away.given_up_at > now);
        if self.away.len() >= MOST_AWAY {
            return None;
        }
        let away_of = |peer: &PeerKey| self.away.iter().filter(|away| away.peer == *peer).count();
        let may_go = |due: &Due| away_of(&due.peer) < MOST_AWAY_OF_A_PEER;
        let place = self.due.iter().find(|(_, due)| may_go(due)).map(|(place, _)| *place)?;
        let Due { key, peer } = self.due.remove(&place)?;
        self.away.push_back(Away { peer, given_up_at: now + GIVEN_UP_AFTER });
        Some(key)
    }

    /// This peer has opened a stream.
    pub(crate) fn returned(&mut self, peer: &PeerKey) {
        if let Some(place) = self.away.iter().position(|away| away.peer == *peer) {
            self.away.remove(place);
        }
    }

    /// When a place becomes free although nobody returns, if somebody waits for one. To be asked when
    /// [`Recalls::next`] has nobody left.
    pub(crate) fn next_release(&self) -> Option<Instant> {
        self.away.front().filter(|_| !self.due.is_empty()).map(|away| away.given_up_at)
    }
}

/// Enough to renew 30 proxies a second, few enough to be lost.
pub(crate) const MOST_AWAY: usize = 16;
/// Processes that no pod is known of share a budget, so that one of them is no measure for another.
pub(crate) const MOST_AWAY_OF_A_PEER: usize = MOST_AWAY / 4;
/// Envoy is back after half a second, and after 30 s when its back-off has grown to the end.
pub(crate) const GIVEN_UP_AFTER: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::LazyLock};

    use super::*;
    use crate::peer::testing::peer_named;

    fn at(seconds: u64) -> Instant {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        *START + Duration::from_secs(seconds)
    }

    fn ending_at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn key(number: usize) -> SecretKey {
        SecretKey::TokenFile(Path::new(&number.to_string()).into())
    }

    fn peer(number: usize) -> PeerKey {
        peer_named(&number.to_string())
    }

    /// As many recalls as fit at this moment.
    fn recall_all(recalls: &mut Recalls, now: Instant) -> Vec<SecretKey> {
        let mut gone = Vec::new();
        while let Some(key) = recalls.next(now) {
            gone.push(key);
        }
        gone
    }

    /// As many recalls as fit at the next release.
    fn recall_next(recalls: &mut Recalls) -> Vec<SecretKey> {
        let release = recalls.next_release().unwrap();
        recall_all(recalls, release)
    }

    #[test]
    fn the_earliest_expiry_is_recalled_first() {
        let mut recalls = Recalls::default();
        for (number, expiry) in [(0, 30), (1, 10), (2, 20)] {
            recalls.add(key(number), peer(number), ending_at(expiry));
        }
        assert_eq!(recalls.earliest(), Some(&key(1)));
        assert_eq!(recall_all(&mut recalls, at(0)), [key(1), key(2), key(0)]);
    }

    #[test]
    fn no_more_than_sixteen_are_away_until_one_returns_or_is_given_up() {
        let mut recalls = Recalls::default();
        for number in 0..40 {
            recalls.add(key(number), peer(number), ending_at(100));
        }
        assert_eq!(recall_all(&mut recalls, at(0)).len(), MOST_AWAY);
        recalls.returned(&peer(99));
        assert_eq!(recalls.next(at(0)), None, "a stranger's stream frees no place");
        recalls.returned(&peer(3));
        assert_eq!(recall_all(&mut recalls, at(0)).len(), 1);
        let release = recalls.next_release().unwrap();
        assert_eq!(recalls.next(release - Duration::from_millis(1)), None);
        assert_eq!(recall_all(&mut recalls, release).len(), MOST_AWAY);
    }

    #[test]
    fn no_more_than_four_of_a_peers_are_away() {
        let mut recalls = Recalls::default();
        for number in 0..6 {
            recalls.add(key(number), peer(7), ending_at(10));
        }
        recalls.add(key(6), peer(8), ending_at(20));
        assert_eq!(recall_all(&mut recalls, at(0)), [key(0), key(1), key(2), key(3), key(6)]);
        recalls.returned(&peer(7));
        assert_eq!(recall_all(&mut recalls, at(1)), [key(4)]);
        assert_eq!(recall_next(&mut recalls), [key(5)], "when one is given up");
    }

    #[test]
    fn a_dead_token_of_a_peer_does_not_keep_its_other_back() {
        let mut recalls = Recalls::default();
        recalls.add(key(0), peer(7), ending_at(10));
        recalls.add(key(1), peer(7), ending_at(11));

        assert_eq!(recall_all(&mut recalls, at(0)), [key(0), key(1)]);
    }

    #[test]
    fn one_that_needs_no_recall_any_more_is_left_alone() {
        let mut recalls = Recalls::default();
        recalls.add(key(1), peer(1), ending_at(10));
        recalls.forget(&key(1));
        assert_eq!(recalls.next(at(0)), None);
        assert_eq!(recalls.next_release(), None);
    }
}
