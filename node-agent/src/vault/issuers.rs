//! Which issuer of Vault's signs, and which roots proxies are to hold meanwhile. Pure.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use signet_backends::vault::{IssuerChain, IssuerPath};
use signet_identity::{BundleError, TrustBundle, TrustDomain, verify_link};
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
    /// and the last one is gone with it.
    pub(super) fn after(before: Option<Self>, found: IssuerChain, path: IssuerPath, now: Instant) -> Self {
        let by_role = path == IssuerPath::OfTheRole;
        let at_once = |found| Self { signs: found, path, next: None };
        let Some(before) = before else { return at_once(found) };
        let nothing_new = found.roots.iter().all(|root| before.signs.roots.contains(root));
        if by_role || nothing_new {
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
        chain.last().is_some_and(|last| self.roots().any(|root| verify_link(last, root).is_ok()))
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

/// Agents look once a minute; one may just have looked, and one may have to look twice.
const OVERLAP: Duration = Duration::from_secs(180);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::testing::issuer_chain;

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
    async fn a_change_that_is_taken_back_leaves_nothing() {
        let (old, now) = (issuer_chain("old"), Instant::now());
        let first = by_id(None, old.clone(), now);
        let waits = by_id(Some(first.clone()), issuer_chain("new"), now);

        assert_eq!(by_id(Some(waits), old, now), first);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_role_chooses_signs_at_once() {
        let first = Issuers::after(None, issuer_chain("old"), IssuerPath::OfTheRole, Instant::now());
        let second = Issuers::after(Some(first), issuer_chain("new"), IssuerPath::OfTheRole, Instant::now());

        assert_eq!((second.signs(), roots(&second)), (&IssuerPath::OfTheRole, 1));
    }
}
