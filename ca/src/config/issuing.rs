//! `[issuing]`: how long certificates live.

use std::time::Duration;

use signet_identity::{IssuingPolicy, TrustDomain};
use signet_runtime::config::Section;

/// Lifetimes of workload certificates and of the root.
#[derive(Debug, Clone)]
pub struct IssuingConfig {
    /// `default_lifetime` (24 h) for requests that name none, `max_lifetime` (24 h) above which a request is
    /// cut.
    pub policy: IssuingPolicy,
    /// `root_lifetime`: of a root that is made on first start. Default ten years.
    pub root_lifetime: Duration,
}

impl IssuingConfig {
    pub(super) fn read(section: &Section<'_>, trust_domain: TrustDomain) -> Option<Self> {
        let max = section.within("max_lifetime", DAY, MIN_LIFETIME..=MAX_LIFETIME);
        let default = section.within("default_lifetime", DAY.min(max), MIN_LIFETIME..=MAX_LIFETIME);
        let root_lifetime = section.within("root_lifetime", ROOT, DAY..=MAX_ROOT);
        if root_lifetime < max {
            section.fault("root_lifetime", "is shorter than `max_lifetime`: no leaf could live that long");
        }
        let policy = IssuingPolicy::new(trust_domain, default, max);
        let policy = policy.map_err(|error| section.fault("default_lifetime", error.to_string())).ok()?;
        Some(Self { policy, root_lifetime })
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Below, a certificate would be over before a proxy has it.
const MIN_LIFETIME: Duration = Duration::from_secs(5);

/// What Citadel allowed at most.
const MAX_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

const ROOT: Duration = Duration::from_secs(3650 * 24 * 3600);
const MAX_ROOT: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
