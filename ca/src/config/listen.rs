//! `[listen]`: where the CA is reached, and with how many cores.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    thread,
};

use signet_runtime::config::Section;

/// Most serving cores: more than any machine we know, few enough that a typing error starts no thread storm.
const MAX_CORES: usize = 1024;

/// Addresses and cores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenConfig {
    /// `grpc`: the certificate service, over TLS. Default `0.0.0.0:15012`, the port that Istio clients expect.
    pub grpc: SocketAddr,
    /// `operations`: metrics, probes and the status page, plain HTTP. Default `0.0.0.0:15014`.
    pub operations: SocketAddr,
    /// `cores`: threads that serve. Default: as many as the process may use.
    pub cores: usize,
}

impl ListenConfig {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let all = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            grpc: section.optional("grpc", (Ipv4Addr::UNSPECIFIED, 15012).into()),
            operations: section.optional("operations", (Ipv4Addr::UNSPECIFIED, 15014).into()),
            cores: section.within("cores", all.min(MAX_CORES), 1..=MAX_CORES),
        }
    }
}
