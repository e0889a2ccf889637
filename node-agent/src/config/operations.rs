//! `[operations]`: metrics and probes.

use std::net::{Ipv4Addr, SocketAddr};

use signet_runtime::config::Section;

/// The operations port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationsConfig {
    /// `listen`: plain HTTP. Default `127.0.0.1:15021`: an agent lives on the host's network.
    pub listen: SocketAddr,
}

impl OperationsConfig {
    pub(super) fn read(section: &Section<'_>) -> Self {
        Self { listen: section.optional("listen", (Ipv4Addr::LOCALHOST, 15021).into()) }
    }
}
