//! SVIDs whose proxies were sent for a fresh token and may never return with one.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use signet_identity::{SpiffeId, X509Svid};

use crate::peer::PeerKey;

/// What proxies go on using although its key is gone here, until it ends or has a successor. Bounded. Pure.
#[derive(Debug, Default)]
pub(super) struct Endings {
    /// By the end of the certificate, then by arrival.
    due: BTreeMap<(SystemTime, u64), Dropped>,
    arrivals: u64,
}

/// What is known of it still.
#[derive(Debug)]
pub(super) struct Dropped {
    identity: SpiffeId,
    serial: String,
    peer: PeerKey,
}

impl Endings {
    /// The peer has this one alone until `end`, and was asked for a token that renews it.
    pub(super) fn add(&mut self, dropped: Dropped, end: SystemTime) {
        self.arrivals += 1;
        self.due.insert((end, self.arrivals), dropped);
    }

    /// The peer has got another of that name.
    pub(super) fn succeeded(&mut self, identity: &SpiffeId, peer: &PeerKey) {
        self.due.retain(|_, dropped| dropped.identity != *identity || dropped.peer != *peer);
    }

    /// One that has ended without a successor, or must make room. To be asked until there is none.
    pub(super) fn next(&mut self, now: SystemTime) -> Option<Dropped> {
        let ((end, _), _) = self.due.first_key_value()?;
        (*end <= now || self.due.len() > MOST_WATCHED)
            .then(|| self.due.pop_first())?
            .map(|(_, dropped)| dropped)
    }

    /// How long until the next one ends.
    pub(super) fn wait(&self, now: SystemTime) -> Option<Duration> {
        let ((end, _), _) = self.due.first_key_value()?;
        Some(end.duration_since(now).unwrap_or_default())
    }
}

impl Dropped {
    /// The SVID of `peer`, whose key is dropped now.
    pub(super) fn of(svid: &X509Svid, peer: PeerKey) -> Self {
        Self { identity: svid.identity().clone(), serial: svid.serial(), peer }
    }

    /// Says so, once: a certificate does not die in silence.
    pub(super) fn tell(&self) {
        tracing::warn!(
            spiffe_id = %self.identity,
            serial = self.serial,
            peer = ?self.peer,
            "an SVID has no successor at its end: its proxy was asked for a fresh token and showed none; check \
             that its token file is rotated, unless the workload is gone"
        );
    }
}

/// A bound on memory, about 1 MB; whatever makes room for another is told of early.
const MOST_WATCHED: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::testing::peer_named;

    fn ending_at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn dropped(number: usize, peer: &str) -> Dropped {
        let identity = format!("spiffe://td.test/ns/a/sa/w{number}").parse().unwrap();
        Dropped { identity, serial: number.to_string(), peer: peer_named(peer) }
    }

    fn told(endings: &mut Endings, now: SystemTime) -> Vec<String> {
        std::iter::from_fn(|| endings.next(now)).map(|dropped| dropped.serial).collect()
    }

    #[test]
    fn each_is_told_of_once_when_it_has_ended() {
        let mut endings = Endings::default();
        for (number, end) in [(0, 30), (1, 10), (2, 10)] {
            endings.add(dropped(number, "pod"), ending_at(end));
        }
        assert_eq!(told(&mut endings, ending_at(9)), [""; 0]);
        assert_eq!(endings.wait(ending_at(9)), Some(Duration::from_secs(1)));
        assert_eq!(told(&mut endings, ending_at(10)), ["1", "2"]);
        assert_eq!(told(&mut endings, ending_at(40)), ["0"]);
        assert_eq!(endings.wait(ending_at(40)), None);
    }

    #[test]
    fn only_the_same_peers_svid_of_that_name_is_a_successor() {
        let mut endings = Endings::default();
        for (number, peer) in [(0, "pod"), (1, "pod"), (0, "twin")] {
            endings.add(dropped(number, peer), ending_at(10));
        }
        endings.succeeded(&dropped(0, "pod").identity, &peer_named("pod"));
        assert_eq!(told(&mut endings, ending_at(10)), ["1", "0"]);
    }

    #[test]
    fn one_too_many_makes_room_by_being_told_of_early() {
        let mut endings = Endings::default();
        for number in 0..=MOST_WATCHED {
            endings.add(dropped(number, "pod"), ending_at(10 + number as u64));
        }
        assert_eq!(told(&mut endings, ending_at(0)), ["0"]);
    }
}
