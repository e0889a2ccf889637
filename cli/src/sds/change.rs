//! What is new in a secret since its last push.

use rustls_pki_types::CertificateDer;
use serde::Serialize;
use signet_identity::CertificateSummary;

use super::secret::Content;

/// The difference of two contents of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    /// `first`, `key`, `certificate`, `intermediates`, `roots`; empty: nothing at all.
    changed: Vec<&'static str>,
    /// Serials.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roots_added: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roots_removed: Vec<String>,
}

impl Change {
    /// From what was held before, if anything was.
    pub(super) fn between(before: Option<&Content>, now: &Content) -> Self {
        match (before, now) {
            (None, _) => Self { changed: vec!["first"], ..Self::default() },
            (Some(Content::Identity(before)), Content::Identity(now)) => {
                let pairs = [
                    ("key", before.leaf().spki_der() != now.leaf().spki_der()),
                    ("certificate", before.chain().first() != now.chain().first()),
                    ("intermediates", before.chain().get(1..) != now.chain().get(1..)),
                ];
                let changed = pairs.into_iter().filter(|(_, is_new)| *is_new).map(|(name, _)| name);
                Self { changed: changed.collect(), ..Self::default() }
            }
            (Some(Content::Roots(before)), Content::Roots(now)) => Self::of_roots(before, now),
            (Some(Content::Nothing(before)), Content::Nothing(now)) if before == now => Self::default(),
            (Some(_), _) => Self { changed: vec!["kind"], ..Self::default() },
        }
    }

    /// Their order means nothing.
    fn of_roots(before: &[CertificateDer<'static>], now: &[CertificateDer<'static>]) -> Self {
        let serials = |here: &[CertificateDer<'_>], there: &[CertificateDer<'_>]| {
            let only_here = here.iter().filter(|root| !there.contains(root));
            let summaries = only_here.filter_map(|root| CertificateSummary::of(root).ok());
            summaries.map(|root| root.serial().to_owned()).collect::<Vec<_>>()
        };
        let (roots_added, roots_removed) = (serials(now, before), serials(before, now));
        let is_new = !roots_added.is_empty() || !roots_removed.is_empty();
        Self { changed: if is_new { vec!["roots"] } else { vec![] }, roots_added, roots_removed }
    }

    /// For people.
    pub(super) fn told(&self) -> String {
        if self.changed.is_empty() {
            return "nothing".to_owned();
        }
        let mut parts: Vec<_> = self.changed.iter().map(|&part| part.to_owned()).collect();
        parts.extend(self.roots_added.iter().map(|serial| format!("+ {serial}")));
        parts.extend(self.roots_removed.iter().map(|serial| format!("- {serial}")));
        parts.join(", ")
    }
}
