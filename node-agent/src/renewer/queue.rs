//! Who is asked for next.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::{peer::PeerKey, secret_cache::SecretKey};

/// Attempts that are due, handed out fairly. Pure.
///
/// The peer with the fewest attempts in flight comes first, so that a peer that wants a thousand certificates
/// does not keep another from its one. Among equals the most urgent attempt comes first: after an outage that
/// is the earliest expiry.
///
/// A peer whose tokens are refused may make only a few more first attempts a minute: a storm of made-up tokens
/// costs the CA little and other peers nothing. Renewals of what the CA once granted are not held back.
#[derive(Debug, Default)]
pub(crate) struct ReadyQueue {
    peers: HashMap<PeerKey, Peer>,
    arrivals: u64,
}

/// An attempt that may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    /// What to ask for.
    pub(crate) key: SecretKey,
    /// On whose account. To be given back to [`ReadyQueue::finish`].
    pub(crate) peer: PeerKey,
    /// Whether the CA has granted this before.
    pub(crate) kind: Kind,
}

/// What an attempt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The CA has never accepted this credential.
    First,
    /// It has.
    Renewal,
}

/// How an attempt ended, as far as fairness is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The CA refused the credential.
    Refused,
    /// Anything else.
    NotRefused,
}

#[derive(Debug, Default)]
struct Peer {
    first: Line,
    renewals: Line,
    firsts_in_flight: u32,
    renewals_in_flight: u32,
    refusals: Refusals,
}

/// By urgency, then by arrival.
type Line = BTreeMap<(SystemTime, u64), SecretKey>;

impl ReadyQueue {
    /// Enqueues an attempt. `urgency`: when the certificate in hand ends, or now when there is none.
    pub(crate) fn push(&mut self, turn: Turn, urgency: SystemTime) {
        self.arrivals += 1;
        let peer = self.peers.entry(turn.peer).or_default();
        peer.line(turn.kind).insert((urgency, self.arrivals), turn.key);
    }

    /// Takes back an attempt that nobody wants any more.
    pub(crate) fn forget(&mut self, turn: &Turn) {
        if let Some(peer) = self.peers.get_mut(&turn.peer) {
            peer.line(turn.kind).retain(|_, key| *key != turn.key);
        }
    }

    /// The next attempt that may start now.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Turn> {
        let candidates = self.peers.iter().filter_map(|(name, peer)| {
            let (kind, urgency) = peer.head(now)?;
            Some(((peer.in_flight(), urgency), kind, name))
        });
        let (_, kind, name) = candidates.min_by_key(|(rank, _, _)| *rank)?;
        let name = name.clone();
        let peer = self.peers.get_mut(&name)?;
        let (_, key) = peer.line(kind).pop_first()?;
        *peer.flying(kind) += 1;
        Some(Turn { key, peer: name, kind })
    }

    /// An attempt that was handed out has ended.
    pub(crate) fn finish(&mut self, turn: &Turn, verdict: Verdict, now: Instant) {
        if let Some(peer) = self.peers.get_mut(&turn.peer) {
            let flying = peer.flying(turn.kind);
            *flying = flying.saturating_sub(1);
            if verdict == Verdict::Refused {
                peer.refusals.count(now);
            }
        }
        self.peers.retain(|_, peer| !peer.is_forgettable(now));
    }

    /// When an attempt that is held back now may start, if there is one.
    pub(crate) fn next_release(&self, now: Instant) -> Option<Instant> {
        let held_back = self.peers.values().filter(|peer| !peer.first.is_empty() && peer.head(now).is_none());
        held_back.filter_map(|peer| peer.refusals.next_release(peer.firsts_in_flight, now)).min()
    }
}

impl Peer {
    fn line(&mut self, kind: Kind) -> &mut Line {
        match kind {
            Kind::First => &mut self.first,
            Kind::Renewal => &mut self.renewals,
        }
    }

    fn flying(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::First => &mut self.firsts_in_flight,
            Kind::Renewal => &mut self.renewals_in_flight,
        }
    }

    fn in_flight(&self) -> u32 {
        self.firsts_in_flight + self.renewals_in_flight
    }

    /// The most urgent attempt that is not held back.
    fn head(&self, now: Instant) -> Option<(Kind, SystemTime)> {
        let may_start = self.firsts_in_flight < self.refusals.allowance(now);
        let first =
            self.first.keys().next().filter(|_| may_start).map(|(urgency, _)| (Kind::First, *urgency));
        let renewal = self.renewals.keys().next().map(|(urgency, _)| (Kind::Renewal, *urgency));
        first.into_iter().chain(renewal).min_by_key(|(_, urgency)| *urgency)
    }

    fn is_forgettable(&self, now: Instant) -> bool {
        let idle = self.first.is_empty() && self.renewals.is_empty() && self.in_flight() == 0;
        idle && self.refusals.allowance(now) == REFUSALS_ALLOWED
    }
}

/// How many refusals a peer may still collect: [`REFUSALS_ALLOWED`] at first, and one more each
/// [`REFUSAL_FORGIVEN_AFTER`].
#[derive(Debug, Default)]
struct Refusals {
    /// The moment up to which the allowance is spent: each refusal moves it on by one
    /// [`REFUSAL_FORGIVEN_AFTER`].
    spent_until: Option<Instant>,
}

impl Refusals {
    fn count(&mut self, now: Instant) {
        self.spent_until =
            Some(self.spent_until.map_or(now, |until| until.max(now)) + REFUSAL_FORGIVEN_AFTER);
    }

    fn allowance(&self, now: Instant) -> u32 {
        let debt = self.debt(now).as_millis().div_ceil(REFUSAL_FORGIVEN_AFTER.as_millis());
        REFUSALS_ALLOWED.saturating_sub(u32::try_from(debt).unwrap_or(u32::MAX))
    }

    /// When one more may start beside those in flight; `None`: not before one of them has ended.
    fn next_release(&self, in_flight: u32, now: Instant) -> Option<Instant> {
        let others = REFUSALS_ALLOWED.checked_sub(in_flight + 1)?;
        Some(now + self.debt(now).saturating_sub(REFUSAL_FORGIVEN_AFTER * others))
    }

    fn debt(&self, now: Instant) -> Duration {
        self.spent_until.map(|until| until.saturating_duration_since(now)).unwrap_or_default()
    }
}

/// A pod whose token was just rotated or whose CA was just configured may fail a few times in good faith.
const REFUSALS_ALLOWED: u32 = 10;
/// Twenty refused calls a minute from one peer are a hundredth of what the CA spends on one core in a second.
const REFUSAL_FORGIVEN_AFTER: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests;
