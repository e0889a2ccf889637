//! `[limits]`: every bound on what proxies can make the agent do.

use signet_runtime::{config::Section, connection, listener::Capacity};

use crate::StreamLimits;

/// Every bound, with defaults for a node of some hundred pods.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// `streams`: open at once on this node, and SVIDs held. `streams_per_peer`: of one pod (of one user in
    /// the root cgroup; of one connection, where pods can't be told apart). Defaults 4,096 and 256. `connections_per_peer`: likewise. Default 32.
    pub streams: StreamLimits,
    /// `max_connections`: of the process, on all sockets together. Default 4,096. One pod cannot take them all, for
    /// `connections_per_peer` counts on all sockets as well.
    pub capacity: Capacity,
    /// Bounds of one connection; see [`connection::Limits::of_endless_streams`].
    pub connection: connection::Limits,
}

impl LimitsConfig {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = StreamLimits::default();
        let node = section.within("streams", default.node, 1..=MANY);
        let peer = section.within("streams_per_peer", default.peer.min(node), 1..=node.max(1));
        let connections_per_peer =
            section.within("connections_per_peer", default.connections_per_peer, 1..=MANY);
        Self {
            streams: StreamLimits { node, peer, connections_per_peer },
            capacity: Capacity::without_handshakes(section),
            connection: connection::Limits::of_endless_streams(section),
        }
    }
}

/// More than any node runs.
const MANY: usize = 1 << 20;
