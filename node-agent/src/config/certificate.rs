//! `[certificate]`: what the CA is asked for.

use std::time::Duration;

use signet_runtime::config::Section;

/// The wish; the CA may cut it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateConfig {
    /// `lifetime`. Absent: the CA's own default. 10 s to a year.
    pub lifetime: Option<Duration>,
}

impl CertificateConfig {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let lifetime: Option<Duration> = section.maybe("lifetime");
        let (shortest, longest) = (Duration::from_secs(10), Duration::from_secs(366 * 24 * 3600));
        if lifetime.is_some_and(|lifetime| lifetime < shortest || lifetime > longest) {
            section.fault("lifetime", "is out of bounds (want `10s` to `366d`)");
        }
        Self { lifetime }
    }
}
