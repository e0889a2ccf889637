//! Which issuer of Vault's signs, and which roots proxies are to hold meanwhile. Pure.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use signet_backends::vault::{IssuerChain, IssuerPath};
use signet_identity::{BundleError, CertificateSummary, TrustBundle, TrustDomain, verify_link};
use tokio::time::Instant;

/// The issuer that signs, and the one that is to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issuers {
    signs: IssuerChain,
    path: IssuerPath,
    next: Option<(IssuerChain, Instant)>,
}

impl Issuers {
    /// Vault says that `found` signs, asked by `path`. One that leads to other roots waits until every agent of the mesh
    /// can have heard of them, while the last one, asked by its id, goes on signing. A role's issuer is Vault's choice,
    /// and the last one is gone with it: then what it signs has to [`wait`](Self::wait).
    pub(super) fn after(before: Option<Self>, found: IssuerChain, path: IssuerPath, now: Instant) -> Self {
        let at_once = |found| Self { signs: found, path, next: None };
        let Some(before) = before else { return at_once(found) };
        if found.roots.iter().all(|root| before.signs.roots.contains(root)) {
            return at_once(found);
        }
        let since = match &before.next {
            Some((next, since)) if next.roots == found.roots => *since,
            _ => now,
        };
        if now >= since + OVERLAP { at_once(found) } else { Self { next: Some((found, since)), ..before } }
    }

    /// Whom to ask.
    pub(super) fn signs(&self) -> &IssuerPath {
        &self.path
    }

    /// Whether this was signed under one of their roots: the link alone, for it is verified in full where it is served.
    pub(super) fn hold_root_of(&self, chain: &[CertificateDer<'static>]) -> bool {
        leads_to(chain, self.roots())
    }

    /// How long this leaf must not be served yet, because proxies of other nodes cannot have its root; for a fifth of its
    /// life at most, so that one that is renewed late does not end meanwhile.
    pub(super) fn wait(&self, chain: &[CertificateDer<'static>], now: Instant) -> Option<Duration> {
        let (_, since) = self.next.as_ref().filter(|_| !leads_to(chain, &self.signs.roots))?;
        let leaf = chain.first().and_then(|leaf| CertificateSummary::of(leaf).ok());
        let most = leaf.map_or(OVERLAP, |leaf| leaf.validity().lifetime() / 5);
        let wait = (*since + OVERLAP.min(most)).saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// When looking again changes who signs.
    pub(super) fn next_change(&self) -> Option<Instant> {
        self.next.as_ref().map(|(_, since)| *since + OVERLAP)
    }

    /// The roots of both, without a version: Vault counts none, so they are united with what is held, and dropped one
    /// leaf lifetime after Vault last said them.
    pub(super) fn bundle(&self, trust_domain: &TrustDomain) -> Result<TrustBundle, BundleError> {
        TrustBundle::new(trust_domain.clone(), self.roots().cloned().collect(), None)
    }

    fn roots(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let next = self.next.iter().flat_map(|(next, _)| &next.roots);
        self.signs.roots.iter().chain(next)
    }
}

fn leads_to<'a>(
    chain: &[CertificateDer<'static>],
    roots: impl IntoIterator<Item = &'a CertificateDer<'static>>,
) -> bool {
    chain.last().is_some_and(|last| roots.into_iter().any(|root| verify_link(last, root).is_ok()))
}

/// Agents look once a minute; one may just have looked, and one may have to look twice.
const OVERLAP: Duration = Duration::from_secs(180);

#[cfg(test)]
mod tests {
    use signet_identity::testing::TestAuthority;

    use super::*;
    use crate::vault::testing::{authority, issuer_chain, issuer_of, leaf_of};

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn by_id(before: Option<Issuers>, found: IssuerChain, now: Instant) -> Issuers {
        let path = IssuerPath::Issuer(found.issuer_id.clone());
        Issuers::after(before, found, path, now)
    }

    fn roots(issuers: &Issuers) -> usize {
        issuers.bundle(&"cluster.local".parse().unwrap()).unwrap().authorities().len()
    }

    #[tokio::test(start_paused = true)]
    async fn an_issuer_under_a_new_root_waits_while_the_last_one_signs() {
        let (old, new, now) = (issuer_chain("old"), issuer_chain("new"), Instant::now());
        let issuers = by_id(None, old, now);
        assert_eq!((issuers.signs(), roots(&issuers)), (&IssuerPath::Issuer("old".to_owned()), 1));

        let issuers = by_id(Some(issuers), new.clone(), now);
        assert_eq!((issuers.signs(), roots(&issuers)), (&IssuerPath::Issuer("old".to_owned()), 2));
        assert_eq!(issuers.next_change(), Some(now + OVERLAP));
        let issuers = by_id(Some(issuers), new.clone(), now + OVERLAP / 2);
        assert_eq!(
            issuers.signs(),
            &IssuerPath::Issuer("old".to_owned()),
            "it began to wait when it was first seen"
        );

        let issuers = by_id(Some(issuers), new, now + OVERLAP);
        assert_eq!((issuers.signs(), roots(&issuers)), (&IssuerPath::Issuer("new".to_owned()), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_issuer_with_one_new_root_beside_the_old_one_waits_too_and_one_with_fewer_does_not() {
        let (old, new, now) = (issuer_chain("old"), issuer_chain("new"), Instant::now());
        let both = IssuerChain { roots: [&old.roots[..], &new.roots[..]].concat(), ..new };
        let steady = by_id(None, old.clone(), now);

        let waits = by_id(Some(steady), both.clone(), now);
        assert_eq!((waits.next_change(), roots(&waits)), (Some(now + OVERLAP), 2));

        let fewer = by_id(Some(by_id(None, both, now)), old, now);
        assert_eq!((fewer.next_change(), roots(&fewer)), (None, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_that_is_taken_back_leaves_nothing() {
        let (old, now) = (issuer_chain("old"), Instant::now());
        let first = by_id(None, old.clone(), now);
        let waits = by_id(Some(first.clone()), issuer_chain("new"), now);

        assert_eq!(by_id(Some(waits), old, now), first);
    }

    #[tokio::test(start_paused = true)]
    async fn a_leaf_of_the_issuer_that_a_role_has_chosen_waits_for_its_root_or_a_fifth_of_its_life() {
        let ([old, new], now) = ([authority(), authority()], Instant::now());
        let by_role = |before, found: &TestAuthority| {
            Issuers::after(before, issuer_of("i", found), IssuerPath::OfTheRole, now)
        };
        let issuers = by_role(None, &old);
        assert_eq!((issuers.wait(&leaf_of(&old, DAY), now), roots(&issuers)), (None, 1));

        let issuers = by_role(Some(issuers), &new);

        assert_eq!(
            (issuers.signs(), roots(&issuers)),
            (&IssuerPath::OfTheRole, 2),
            "its root is told at once"
        );
        for (name, leaf, since, wait) in [
            ("a leaf of the last one", leaf_of(&old, DAY), Duration::ZERO, None),
            ("a long one at first", leaf_of(&new, DAY), Duration::ZERO, Some(OVERLAP)),
            ("a long one later", leaf_of(&new, DAY), OVERLAP / 3, Some(OVERLAP * 2 / 3)),
            ("a long one when proxies have its root", leaf_of(&new, DAY), OVERLAP, None),
            ("a short one", leaf_of(&new, OVERLAP), Duration::ZERO, Some(OVERLAP / 5)),
            ("a short one after a fifth of its life", leaf_of(&new, OVERLAP), OVERLAP / 5, None),
        ] {
            assert_eq!(issuers.wait(&leaf, now + since), wait, "{name}");
        }
        assert_eq!(roots(&by_role(Some(issuers), &old)), 1, "a choice that is taken back leaves nothing");
    }
}
