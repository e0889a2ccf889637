//! `[limits]`: every bound on what proxies can make the agent do.

use signet_runtime::{config::Section, connection, listener::Capacity};

/// Every bound, with defaults for a node of some hundred pods.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// `streams`: open at once on this node. Default 4,096.
    pub streams: usize,
    /// `streams_per_peer`: of one pod (of one connection, where pods can't be told apart). Default 256.
    pub streams_per_peer: usize,
    /// Bounds of the process: `max_connections`.
    pub capacity: Capacity,
    /// Bounds of one connection; see [`connection::Limits::from_section`].
    pub connection: connection::Limits,
}

impl LimitsConfig {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let streams = section.within("streams", 4096, 1..=MANY);
        Self {
            streams,
            streams_per_peer: section.within("streams_per_peer", 256.min(streams), 1..=streams),
            capacity: Capacity::from_section(section),
            connection: connection::Limits::from_section(section).for_endless_streams(),
        }
    }
}

/// More than any node runs.
const MANY: usize = 1 << 20;
