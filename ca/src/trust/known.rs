//! An authority as it is remembered: everything but what signs.

use std::time::SystemTime;

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use signet_identity::{CaCertificate, CertificateSummary, verify_link};

use crate::store::KeyRef;

/// Where an authority comes from: `authority.kind` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// `local`: a root that the CA made for itself.
    #[default]
    Local,
    /// `injected`: an operator's files.
    Injected,
    /// `vault`: Vault signs each leaf.
    Vault,
    /// `vault-intermediate`: Vault signs an intermediate of the CA's.
    VaultIntermediate,
}

impl Origin {
    /// As it is configured, and as metrics and the audit call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Injected => "injected",
            Self::Vault => "vault",
            Self::VaultIntermediate => "vault-intermediate",
        }
    }
}

/// An authority with the roots that its leaves need.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KnownAuthority {
    /// Where it comes from.
    pub(crate) origin: Origin,
    /// What its leaves name as their issuer.
    pub(crate) certificate: CaCertificate,
    /// What stands between its leaves and the root; see [`Assembler::new`](signet_backends::Assembler::new).
    pub(crate) intermediates: Vec<CertificateDer<'static>>,
    /// What proxies must hold. Never empty.
    pub(crate) roots: Vec<CertificateDer<'static>>,
    /// Its key, if the state directory holds it.
    pub(crate) key: Option<KeyRef>,
}

impl KnownAuthority {
    /// Whether `other` signs the same and wants the same roots, wherever the keys are.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.certificate.der() == other.certificate.der()
            && self.intermediates == other.intermediates
            && self.roots == other.roots
    }

    /// When the first certificate of its path ends, the last of its anchors included: a leaf that lives longer would be
    /// worth nothing from then on.
    pub(crate) fn end(&self) -> SystemTime {
        let end =
            |der: &CertificateDer<'_>| CertificateSummary::of(der).ok().map(|one| one.validity().not_after());
        let anchors = self.anchors().into_iter().filter_map(end).max();
        let path = self.intermediates.iter().filter_map(end).chain(anchors).min();
        path.map_or(self.certificate.validity().not_after(), |end| {
            end.min(self.certificate.validity().not_after())
        })
    }

    /// Those of its roots that its leaves lead to; the others are there for leaves of somebody else.
    pub(crate) fn anchors(&self) -> Vec<&CertificateDer<'static>> {
        let top = self.intermediates.last().unwrap_or(self.certificate.der());
        self.roots.iter().filter(|root| *root == top || verify_link(top, root).is_ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use signet_identity::{PrivateKey, testing::TestAuthority};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn an_authority_ends_with_the_first_of_its_path_but_with_the_last_root_that_it_leads_to() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let (key, trust_domain) = (PrivateKey::generate().unwrap(), "cluster.local".parse().unwrap());
        let root = |lives| CaCertificate::self_signed(&key, &trust_domain, now, lives).unwrap();
        let [short, long] = [root(HOUR), root(3 * HOUR)];
        let stranger = TestAuthority::new("cluster.local", now).certificate().clone();
        for (signs, roots, end) in [
            (&short, vec![&short], HOUR),
            (&long, vec![&short], HOUR),
            (&long, vec![&short, &long], 3 * HOUR),
            (&long, vec![&short, &stranger], HOUR),
        ] {
            let known = KnownAuthority {
                origin: Origin::Local,
                certificate: signs.clone(),
                intermediates: Vec::new(),
                roots: roots.iter().map(|root| root.der().clone()).collect(),
                key: None,
            };
            assert_eq!(known.end(), now + end, "{} roots", roots.len());
        }
    }
}
