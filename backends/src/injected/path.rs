//! The way from the certificate that signs up to a root.

use rustls_pki_types::CertificateDer;
use signet_identity::{CertificateSummary, LinkError, MAX_CHAIN, verify_link};

use super::fault::BrokenLink;

/// A certificate with where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) file: &'static str,
    /// Within the file, from one.
    pub(super) number: usize,
    pub(super) der: CertificateDer<'static>,
}

impl Found {
    /// For a person: its subject, or its place if it has none that can be read.
    pub(super) fn name(&self) -> String {
        match CertificateSummary::of(&self.der) {
            Ok(summary) if !summary.subject().is_empty() => format!("`{}`", summary.subject()),
            _ => format!("certificate {}", self.number),
        }
    }

    pub(super) fn is_self_signed(&self) -> bool {
        verify_link(&self.der, &self.der).is_ok()
    }

    fn is_signed_by(&self, signer: &Self) -> bool {
        verify_link(&self.der, &signer.der).is_ok()
    }

    fn issuer(&self) -> String {
        CertificateSummary::of(&self.der).map(|summary| summary.issuer().to_owned()).unwrap_or_default()
    }
}

/// A way up: what peers must be sent, the certificate that signs first, and the root that they hold. If that
/// root signs itself, nothing stands between.
#[derive(Debug, Clone)]
pub(super) struct Way<'a> {
    pub(super) between: Vec<&'a Found>,
    pub(super) root: &'a Found,
}

/// Every way from `signer` over certificates of `pool` to one of `roots`, in no order; at most [`MAX_WAYS`].
///
/// # Errors
/// There is none: the certificate that leads no further, and why.
pub(super) fn find<'a>(
    signer: &'a Found,
    pool: &'a [Found],
    roots: &'a [Found],
) -> Result<Vec<Way<'a>>, (&'a Found, BrokenLink)> {
    let mut search = Search { pool, roots, ways: Vec::new(), longest: vec![signer] };
    search.climb(vec![signer]);
    if let Some(root) = roots.iter().find(|root| root.der == signer.der) {
        search.ways.push(Way { between: Vec::new(), root });
    }
    if search.ways.is_empty() { Err(search.broken(signer)) } else { Ok(search.ways) }
}

struct Search<'a> {
    pool: &'a [Found],
    roots: &'a [Found],
    ways: Vec<Way<'a>>,
    longest: Vec<&'a Found>,
}

impl<'a> Search<'a> {
    fn climb(&mut self, way: Vec<&'a Found>) {
        let Some(top) = way.last().copied() else { return };
        if way.len() > self.longest.len() {
            self.longest = way.clone();
        }
        if top.is_self_signed() || self.ways.len() >= MAX_WAYS {
            return;
        }
        for root in self.roots.iter().filter(|root| root.der != top.der && top.is_signed_by(root)) {
            self.ways.push(Way { between: way.clone(), root });
        }
        // A leaf stands below them, and the root above.
        if way.len() + 2 >= MAX_CHAIN {
            return;
        }
        let pool = self.pool;
        let unused = pool.iter().filter(|next| !way.iter().any(|one| one.der == next.der));
        for next in unused.filter(|next| !next.is_self_signed() && top.is_signed_by(next)) {
            let mut way = way.clone();
            way.push(next);
            self.climb(way);
        }
    }

    fn broken(&self, signer: &'a Found) -> (&'a Found, BrokenLink) {
        let top = self.longest.last().copied().unwrap_or(signer);
        (top, self.why(top))
    }

    fn why(&self, top: &Found) -> BrokenLink {
        if top.is_self_signed() {
            return BrokenLink::OfItself;
        }
        let others = || self.pool.iter().chain(self.roots).filter(|one| one.der != top.der);
        let links = others().map(|above| (above, verify_link(&top.der, &above.der)));
        let (mut signed, mut named) = (None, None);
        for (above, link) in links {
            match link {
                Ok(()) => signed = Some(above),
                Err(LinkError::AnotherIssuer | LinkError::Malformed(_)) => {}
                Err(source) => named = Some(source),
            }
        }
        let issuer = top.issuer();
        match (signed, named) {
            (Some(above), _) if above.is_self_signed() => BrokenLink::IssuerNotARoot(issuer),
            (Some(_), _) => BrokenLink::TooLong(MAX_CHAIN - 2),
            (None, Some(source)) => BrokenLink::NotSigned { issuer, source },
            (None, None) => BrokenLink::IssuerAbsent(issuer),
        }
    }
}

/// Cross-signed authorities have two or three.
const MAX_WAYS: usize = 16;
