//! `[identity]`: whose identities the agent hands out.

use signet_identity::TrustDomain;
use signet_runtime::config::Section;

/// The trust domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityConfig {
    /// `trust_domain`: that of the CA. Default `cluster.local`.
    pub trust_domain: TrustDomain,
}

impl IdentityConfig {
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let trust_domain = section.maybe("trust_domain").or_else(|| DEFAULT_TRUST_DOMAIN.parse().ok());
        Some(Self { trust_domain: trust_domain? })
    }
}

const DEFAULT_TRUST_DOMAIN: &str = "cluster.local";
