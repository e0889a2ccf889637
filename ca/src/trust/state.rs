//! How trust changes: which authority signs, which one waits, and which roots are in the bundle meanwhile. Pure.
//!
//! ```text
//! Steady ──offer under a new root──▸ Prepared ──the root has travelled──▸ Retiring ──last old leaf is dead──▸ Steady
//! ```
//! An offer under a root that every proxy holds is taken at once: nobody has to learn anything. One that comes while
//! another waits takes its place. Roots that are leaving are kept beside all of this, since operators do not wait
//! for one change to end before the next: a state is `Retiring` while any is.
//!
//! The property that all of it serves: no proxy is asked to trust a leaf before it had the time to get its root.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;

use super::KnownAuthority;
use crate::store::KeyRef;

type Root = CertificateDer<'static>;

/// How long a change of trust takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// From a new root in the bundle to the first leaf under it.
    pub(crate) overlap: Duration,
    /// What the longest leaf may live: so long its root stays after the last one was signed.
    pub(crate) longest_leaf: Duration,
}

impl Terms {
    /// For when the active authority can no longer sign: the next one follows as soon as every agent that polls the
    /// bundle can have its roots. To wait longer would only be an outage.
    #[must_use]
    pub(crate) fn hastened(self) -> Self {
        Self { overlap: self.overlap.min(PROPAGATION), ..self }
    }
}

/// Agents ask for the bundle once a minute; one may just have asked, and one may have to ask twice.
const PROPAGATION: Duration = Duration::from_secs(180);

/// The authorities that count, and every root that proxies are to trust.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trust {
    pub(crate) active: KnownAuthority,
    pub(crate) next: Option<KnownAuthority>,
    pub(crate) published: Vec<Published>,
    pub(crate) leaves: Leaves,
}

/// How long leaves live, which a configuration may change while old ones do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Leaves {
    /// Those that are signed now, at most; nothing until [`Trust::stepped`] is told.
    pub(crate) longest: Duration,
    /// When the last of those is dead that were to live longer.
    pub(crate) longer_until: SystemTime,
}

impl Default for Leaves {
    fn default() -> Self {
        Self { longest: Duration::ZERO, longer_until: UNIX_EPOCH }
    }
}

/// A root in the bundle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Published {
    pub(crate) root: Root,
    /// When it came in; [`UNIX_EPOCH`] once leaves were signed under it, for then every proxy has it.
    pub(crate) since: SystemTime,
    /// When the last leaf under it is dead, if it is leaving.
    pub(crate) until: Option<SystemTime>,
}

/// Where a change of trust stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// One authority signs, and nothing is under way.
    Steady,
    /// The next authority's roots are published; nothing is signed under them yet.
    Prepared,
    /// Roots that nothing is signed under any more stay until their last leaf is dead.
    Retiring,
}

impl Stage {
    /// In logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Prepared => "prepared",
            Self::Retiring => "retiring",
        }
    }
}

impl Trust {
    /// The first authority of all: nobody holds another root.
    pub(crate) fn steady(active: KnownAuthority) -> Self {
        let mut trust = Self { active, next: None, published: Vec::new(), leaves: Leaves::default() };
        trust.publish(UNIX_EPOCH);
        trust
    }

    /// Where it stands.
    pub(crate) fn stage(&self) -> Stage {
        match &self.next {
            Some(_) => Stage::Prepared,
            None if self.published.iter().any(|one| one.until.is_some()) => Stage::Retiring,
            None => Stage::Steady,
        }
    }

    /// The authority that signs.
    pub(crate) fn active(&self) -> &KnownAuthority {
        &self.active
    }

    /// The one that will.
    pub(crate) fn next(&self) -> Option<&KnownAuthority> {
        self.next.as_ref()
    }

    /// A source would have `offer` sign from now on. What is offered last counts; the roots of an offer that it
    /// replaces carried no leaf, and go at once.
    #[must_use]
    pub(crate) fn offered(mut self, offer: KnownAuthority, now: SystemTime) -> Self {
        if self.active.is_same(&offer) {
            self.next = None;
            self.active.key = offer.key.or(self.active.key);
        } else {
            self.next = Some(offer);
        }
        let mut published = std::mem::take(&mut self.published);
        published.retain(|one| one.until.is_some() || self.names(&one.root));
        self.published = published;
        self.publish(now);
        self
    }

    /// The same with `known` as the one that signs, if leaves were signed under what it leads to. The rest goes on.
    pub(crate) fn revived(mut self, known: KnownAuthority) -> Option<Self> {
        let anchors = self.active.anchors();
        let goes_on = known.anchors().iter().any(|root| anchors.contains(root));
        goes_on.then(|| {
            let key = self.active.key.take().filter(|_| self.active.is_same(&known));
            self.active = KnownAuthority { key: known.key.clone().or(key), ..known };
            self
        })
    }

    /// What time alone brings.
    #[must_use]
    pub(crate) fn stepped(mut self, terms: Terms, now: SystemTime) -> Self {
        self = self.set_right(terms, now);
        if self.activation(terms).is_some_and(|at| at <= now)
            && let Some(next) = self.next.take()
        {
            self.active = next;
            self.settle();
            self.retire(self.last_leaf_ends(terms, now));
        }
        self.dismiss(now);
        self
    }

    /// What time alone brings while the next authority cannot take over.
    #[must_use]
    pub(crate) fn aged(mut self, terms: Terms, now: SystemTime) -> Self {
        self = self.set_right(terms, now);
        self.dismiss(now);
        self
    }

    /// When the next authority becomes the active one: as soon as one of the roots that lead to it has travelled.
    pub(crate) fn activation(&self, terms: Terms) -> Option<SystemTime> {
        let anchors = self.next.as_ref()?.anchors();
        let since = self.published.iter().filter(|one| anchors.contains(&&one.root)).map(|one| one.since);
        since.min().map(|since| after(since, terms.overlap))
    }

    /// When [`stepped`](Self::stepped) will change something.
    pub(crate) fn next_change(&self, terms: Terms) -> Option<SystemTime> {
        let ends = self.published.iter().filter_map(|one| one.until);
        ends.chain(self.activation(terms)).min()
    }

    /// The keys that a restart would need and the state directory has.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &KeyRef> {
        [Some(&self.active), self.next.as_ref()].into_iter().flatten().filter_map(|known| known.key.as_ref())
    }

    /// The active authority's key was copied only for the time that another waited.
    pub(crate) fn forget_kept_key(&mut self) {
        self.active.key.take_if(|key| key.is_copy());
    }

    /// Every root of the bundle, those of the active authority first.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &Root> {
        self.published.iter().map(|one| &one.root)
    }

    /// Notes how long leaves live from now on. Times that only a clock can have set that was ahead count from now; but not
    /// by one that shows a time before the active authority began: it is behind.
    fn set_right(mut self, terms: Terms, now: SystemTime) -> Self {
        let Leaves { longest, longer_until } = self.leaves;
        if longest > terms.longest_leaf {
            self.leaves.longer_until = longer_until.max(after(now, longest));
        }
        self.leaves.longest = terms.longest_leaf;
        if now < self.active.certificate.validity().not_before() {
            return self;
        }
        let end = self.last_leaf_ends(terms, now);
        for one in &mut self.published {
            one.since = one.since.min(now);
            one.until = one.until.map(|until| until.min(end));
        }
        self
    }

    /// When the last leaf is dead that may have been signed by now.
    fn last_leaf_ends(&self, terms: Terms, now: SystemTime) -> SystemTime {
        after(now, terms.longest_leaf).max(self.leaves.longer_until)
    }

    fn names(&self, root: &Root) -> bool {
        self.active.roots.contains(root) || self.next.as_ref().is_some_and(|next| next.roots.contains(root))
    }

    /// Leaves are signed under the active authority's anchors from now on, so every proxy has them.
    fn settle(&mut self) {
        let anchors = self.active.anchors();
        for one in self.published.iter_mut().filter(|one| anchors.contains(&&one.root)) {
            one.since = UNIX_EPOCH;
        }
    }

    /// Another authority has begun to sign: roots that it does not name stay until `end`.
    fn retire(&mut self, end: SystemTime) {
        for one in &mut self.published {
            let stays = self.active.roots.contains(&one.root);
            one.until = if stays { None } else { one.until.or(Some(end)) };
        }
    }

    /// Roots whose last leaf is dead go, unless they are named again by now.
    fn dismiss(&mut self, now: SystemTime) {
        let mut published = std::mem::take(&mut self.published);
        for one in &mut published {
            one.until.take_if(|until| *until <= now && self.names(&one.root));
        }
        published.retain(|one| one.until.is_none_or(|until| now < until));
        self.published = published;
    }

    /// Takes in the roots that are named and not there yet. One that is leaving still is: who names it may be gone
    /// before its last leaf is dead.
    fn publish(&mut self, now: SystemTime) {
        let named = self.active.roots.iter().chain(self.next.iter().flat_map(|next| &next.roots));
        for root in named {
            if !self.published.iter().any(|one| one.root == *root) {
                self.published.push(Published { root: root.clone(), since: now, until: None });
            }
        }
    }
}

/// As far as a clock can show.
fn after(now: SystemTime, time: Duration) -> SystemTime {
    now.checked_add(time).unwrap_or(now)
}

#[cfg(test)]
mod tests;
