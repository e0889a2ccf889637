//! The roots that this agent holds, and which of two bundles counts.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use signet_identity::{BundleError, BundleVersion, TrustBundle, TrustDomain};

type Root = rustls_pki_types::CertificateDer<'static>;

/// The bundle of the agent's trust domain, built from what the CA sent. Pure.
///
/// * A bundle with a version replaces an older one and is ignored when it is not newer, so that replicas of
///   different age cannot make the roots flap.
/// * Roots that come without a version (istiod and others send none) are united.
///
/// Both kinds may be held at once while an operator moves from one CA to another, to either side. Roots
/// without a version, each by itself, and those with one, together, are dropped one leaf lifetime after the
/// CA last sent any such: until then a leaf under them may live. As long as no leaf was seen here, leaves are
/// taken to live a day.
#[derive(Debug, Clone)]
pub(crate) struct HeldBundle {
    trust_domain: TrustDomain,
    versioned: Option<Versioned>,
    unversioned: HashMap<Root, SystemTime>,
    longest_leaf: Option<Duration>,
}

#[derive(Debug, Clone)]
struct Versioned {
    version: BundleVersion,
    roots: Vec<Root>,
    /// When a bundle with any version came last, be it an older one: whoever sent it signs under these roots.
    seen: SystemTime,
}

impl HeldBundle {
    /// Nothing is known yet.
    pub(crate) fn empty(trust_domain: TrustDomain) -> Self {
        Self { trust_domain, versioned: None, unversioned: HashMap::new(), longest_leaf: None }
    }

    /// What will be held if `received` is taken in. Whether it is depends on the leaf that came with it.
    pub(crate) fn with(&self, received: &TrustBundle, now: SystemTime) -> Self {
        let mut held = self.clone();
        match received.version() {
            Some(version) => match &mut held.versioned {
                Some(known) if known.version >= version => known.seen = now,
                older => {
                    let roots = received.authorities().to_vec();
                    *older = Some(Versioned { version, roots, seen: now });
                }
            },
            None => held.unversioned.extend(received.authorities().iter().map(|root| (root.clone(), now))),
        }
        let oldest = now.checked_sub(held.longest_leaf.unwrap_or(LEAF_OF_OTHERS));
        let counts = |seen: SystemTime| oldest.is_none_or(|oldest| seen >= oldest);
        held.unversioned.retain(|_, seen| counts(*seen));
        held.versioned = held.versioned.filter(|known| counts(known.seen));
        held
    }

    /// Takes note of how long leaves live under these roots.
    pub(crate) fn saw_leaf_of(&mut self, lifetime: Duration) {
        self.longest_leaf = self.longest_leaf.max(Some(lifetime));
    }

    /// All roots held, in an order that depends on nothing but them: proxies must see one version of one set.
    pub(crate) fn bundle(&self) -> Result<TrustBundle, BundleError> {
        let mut roots: Vec<Root> = self.roots().cloned().collect();
        roots.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
        roots.dedup();
        let version = self.versioned.as_ref().map(|known| known.version);
        TrustBundle::new(self.trust_domain.clone(), roots, version)
    }

    /// Whether a leaf under these roots may chain to one that `other` does not hold.
    pub(crate) fn adds_to(&self, other: &Self) -> bool {
        self.roots().any(|root| other.roots().all(|known| known != root))
    }

    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.roots().next().is_none()
    }

    fn roots(&self) -> impl Iterator<Item = &Root> {
        self.versioned.iter().flat_map(|known| &known.roots).chain(self.unversioned.keys())
    }
}

/// What CAs grant who are asked for nothing else, istiod's and ours among them.
const LEAF_OF_OTHERS: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use signet_identity::{CaCertificate, PrivateKey};

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
    }

    fn trust_domain() -> TrustDomain {
        "td.test".parse().unwrap()
    }

    fn root() -> Root {
        let key = PrivateKey::generate().unwrap();
        CaCertificate::self_signed(&key, &trust_domain(), at(0), Duration::from_secs(1_000_000))
            .unwrap()
            .der()
            .clone()
    }

    fn bundle(roots: &[&Root], version: Option<(u64, u64)>) -> TrustBundle {
        let version = version.map(|(epoch, sequence)| BundleVersion { epoch, sequence });
        TrustBundle::new(trust_domain(), roots.iter().copied().cloned().collect(), version).unwrap()
    }

    fn holds(held: &HeldBundle, roots: &[&Root]) -> bool {
        let bundle = held.bundle().unwrap();
        bundle.authorities().len() == roots.len()
            && roots.iter().all(|root| bundle.authorities().contains(root))
    }

    #[test]
    fn the_newer_version_counts_whichever_comes_last() {
        let (old, new) = (root(), root());
        let empty = HeldBundle::empty(trust_domain());
        for (name, first, second, winner) in [
            ("a higher sequence", (1, 1), (1, 2), &new),
            ("a lower sequence", (1, 2), (1, 1), &old),
            ("a newer epoch with a lower sequence", (1, 9), (2, 1), &new),
            ("an older epoch with a higher sequence", (2, 1), (1, 9), &old),
            ("the same version", (1, 1), (1, 1), &old),
        ] {
            let held = empty.with(&bundle(&[&old], Some(first)), at(0));
            let held = held.with(&bundle(&[&new], Some(second)), at(1));
            assert!(holds(&held, &[winner]), "{name}");
        }
    }

    #[test]
    fn roots_without_a_version_are_united_and_outlive_their_leaves() {
        let (old, new) = (root(), root());
        let mut held = HeldBundle::empty(trust_domain());
        held.saw_leaf_of(Duration::from_secs(100));
        let held = held.with(&bundle(&[&old], None), at(0));
        let held = held.with(&bundle(&[&new], None), at(100));
        assert!(holds(&held, &[&old, &new]), "a leaf issued at 0 lives until 100");
        let held = held.with(&bundle(&[&new], None), at(101));
        assert!(holds(&held, &[&new]));
    }

    #[test]
    fn an_agent_that_has_seen_no_leaf_keeps_roots_for_a_day_since_others_have_leaves() {
        let (old, new, day) = (root(), root(), 24 * 3600);
        let held = HeldBundle::empty(trust_domain()).with(&bundle(&[&old], None), at(0));
        let held = held.with(&bundle(&[&new], None), at(day));
        assert!(holds(&held, &[&old, &new]));
        assert!(holds(&held.with(&bundle(&[&new], None), at(day + 1)), &[&new]));
    }

    #[test]
    fn a_move_between_cas_keeps_the_old_roots_while_their_leaves_live() {
        let (istiod, signet) = (root(), root());
        let mut held = HeldBundle::empty(trust_domain()).with(&bundle(&[&istiod], None), at(0));
        held.saw_leaf_of(Duration::from_secs(100));
        let held = held.with(&bundle(&[&signet], Some((1, 1))), at(50));
        assert!(holds(&held, &[&istiod, &signet]));
        let held = held.with(&bundle(&[&signet], Some((1, 1))), at(101));
        assert!(holds(&held, &[&signet]));
    }

    #[test]
    fn a_move_back_to_a_ca_without_versions_drops_the_versioned_roots_as_well() {
        let (signet, istiod) = (root(), root());
        let mut held = HeldBundle::empty(trust_domain()).with(&bundle(&[&signet], Some((1, 2))), at(0));
        held.saw_leaf_of(Duration::from_secs(100));
        let held = held.with(&bundle(&[&istiod], None), at(50));
        let seen_again = held.with(&bundle(&[&signet], Some((1, 1))), at(60));
        let held = held.with(&bundle(&[&istiod], None), at(100));
        assert!(holds(&held, &[&signet, &istiod]), "a leaf issued at 0 lives until 100");
        assert!(holds(&held.with(&bundle(&[&istiod], None), at(101)), &[&istiod]));
        let held = seen_again.with(&bundle(&[&istiod], None), at(101));
        assert!(holds(&held, &[&signet, &istiod]), "a replica of that CA still signs under them");
    }

    #[test]
    fn the_order_in_which_roots_came_does_not_show() {
        let (a, b) = (root(), root());
        let empty = HeldBundle::empty(trust_domain());
        let one = empty.with(&bundle(&[&a, &b], None), at(0)).bundle().unwrap();
        let other = empty.with(&bundle(&[&b, &a], Some((1, 1))), at(0)).bundle().unwrap();
        assert_eq!(one.authorities(), other.authorities());
    }

    #[test]
    fn a_bundle_adds_roots_or_it_does_not() {
        let (a, b) = (root(), root());
        let empty = HeldBundle::empty(trust_domain());
        let one = empty.with(&bundle(&[&a], Some((1, 1))), at(0));
        let both = one.with(&bundle(&[&a, &b], Some((1, 2))), at(0));
        assert!(empty.is_empty() && !one.is_empty());
        assert!(one.adds_to(&empty) && both.adds_to(&one));
        assert!(!one.adds_to(&both) && !both.adds_to(&both));
    }
}
