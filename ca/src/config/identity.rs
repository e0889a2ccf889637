//! `[identity]`: the trust domain, and the names that the CA itself goes by.

use rustls_pki_types::DnsName;
use signet_identity::{MAX_CSR_NAMES, TrustDomain};
use signet_runtime::config::Section;

/// The trust domain and the CA's own names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityConfig {
    /// `trust_domain`: what every SPIFFE ID begins with. Default `cluster.local`. A state directory belongs
    /// to one trust domain.
    pub trust_domain: TrustDomain,
    /// `dns_names`: what clients dial, at most 15; the serving certificate carries exactly these. Default
    /// `signet-ca.signet-system.svc` and `localhost`.
    pub dns_names: Vec<String>,
}

impl IdentityConfig {
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let trust_domain = section.maybe("trust_domain").or_else(|| DEFAULT_TRUST_DOMAIN.parse().ok());
        let names: Vec<String> = section.list("dns_names");
        for name in names.iter().filter(|name| DnsName::try_from(name.as_str()).is_err()) {
            let fault = format!("`{name}` is no DNS name (want e.g. `signet-ca.signet-system.svc`)");
            section.fault("dns_names", fault);
        }
        if names.len() >= MAX_CSR_NAMES {
            let fault = format!("has {} names (want at most {})", names.len(), MAX_CSR_NAMES - 1);
            section.fault("dns_names", fault);
        }
        let dns_names = if names.is_empty() { DEFAULT_NAMES.map(str::to_owned).into() } else { names };
        Some(Self { trust_domain: trust_domain?, dns_names })
    }
}

const DEFAULT_TRUST_DOMAIN: &str = "cluster.local";
const DEFAULT_NAMES: [&str; 2] = ["signet-ca.signet-system.svc", "localhost"];
