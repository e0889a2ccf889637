//! How many connections and streams each peer may have, and what it was last sent.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use signet_runtime::{line_limit::LineLimit, peer::UnixCredentials};
use tonic::Status;

use super::subscription::Push;
use crate::{metrics, peer::PeerKey};

/// The streams and fetches in progress on all sockets, bounded per peer and for the node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Peers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: StreamLimits,
    state: Mutex<State>,
    /// Log lines about rejections, of all peers: one that comes back under another key gets no more of them.
    rejections: LineLimit,
}

/// How many SDS streams and fetches may be in progress, and how many connections may carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// By all peers together.
    pub node: usize,
    /// By one peer: a pod or cgroup, a user of the root cgroup, or a connection where processes cannot be seen.
    pub peer: usize,
    /// Connections of one peer, on all sockets.
    pub connections_per_peer: usize,
}

impl Default for StreamLimits {
    /// 250 pods with sixteen streams each fit; no pod gets more than a sixteenth of it all. A proxy has a
    /// connection or two.
    fn default() -> Self {
        Self { node: 4096, peer: 256, connections_per_peer: 32 }
    }
}

#[derive(Debug, Default)]
struct State {
    streams: usize,
    peers: HashMap<PeerKey, Present>,
}

#[derive(Debug)]
struct Present {
    connections: usize,
    streams: usize,
    rejections: LineLimit,
    /// Version last sent under each name, whatever the stream.
    sent: BTreeMap<String, Arc<str>>,
}

impl Default for Present {
    fn default() -> Self {
        let rejections = LineLimit::new(LINES_AT_ONCE_OF_PEER, PACE_OF_PEER);
        Self { connections: 0, streams: 0, rejections, sent: BTreeMap::new() }
    }
}

impl Peers {
    /// Nobody yet.
    pub fn new(limits: StreamLimits) -> Self {
        let rejections = LineLimit::new(LINES_AT_ONCE, PACE);
        Self(Arc::new(Shared { limits, state: Mutex::default(), rejections }))
    }

    /// A place for one more connection of that process; `None` when its peer has all that it may have.
    pub fn connect(&self, unix: &UnixCredentials) -> Option<Connection> {
        self.connect_as(PeerKey::of(unix))
    }

    fn connect_as(&self, key: PeerKey) -> Option<Connection> {
        let mut state = self.state();
        let present = state.peers.entry(key.clone()).or_default();
        if present.connections >= self.0.limits.connections_per_peer {
            tracing::debug!(peer = ?key, "a connection too many; see `limits.connections_per_peer`");
            return None;
        }
        present.connections += 1;
        Some(Connection(Arc::new(Place { peers: self.clone(), key })))
    }

    /// A seat for one more stream or fetch. RESOURCE_EXHAUSTED when the peer or the node has none left.
    pub(crate) fn admit(&self, key: &PeerKey) -> Result<Seat, Status> {
        let limits = self.0.limits;
        let mut state = self.state();
        if state.streams >= limits.node {
            metrics::refused_stream("node_full");
            return Err(Status::resource_exhausted(format!(
                "this agent serves {} streams already; raise `limits.streams`, or look for whoever opens them",
                limits.node
            )));
        }
        let present = state.peers.entry(key.clone()).or_default();
        if present.streams >= limits.peer {
            metrics::refused_stream("peer_full");
            return Err(Status::resource_exhausted(format!(
                "this workload has {} streams open already; share one SDS configuration between clusters, or raise `limits.streams_per_peer`",
                limits.peer
            )));
        }
        present.streams += 1;
        state.streams += 1;
        metrics::stream_opened();
        Ok(Seat { peers: self.clone(), key: key.clone() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is whole, so a panicking holder leaves nothing half-done.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a connection, of which each of its requests has a clone. Free once all are dropped.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Place>);

#[derive(Debug)]
struct Place {
    peers: Peers,
    key: PeerKey,
}

impl Connection {
    /// On whose account its streams are.
    pub(super) fn key(&self) -> &PeerKey {
        &self.0.key
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.peers.state().leave(&self.key, |present| &mut present.connections);
    }
}

impl State {
    /// One less of what a peer has; nothing is remembered of a peer that has nothing any more.
    fn leave(&mut self, key: &PeerKey, of: impl Fn(&mut Present) -> &mut usize) {
        let Some(present) = self.peers.get_mut(key) else { return };
        let left = of(present);
        *left = left.saturating_sub(1);
        if present.connections == 0 && present.streams == 0 {
            self.peers.remove(key);
        }
    }
}

/// A stream's place. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Seat {
    peers: Peers,
    key: PeerKey,
}

impl Seat {
    /// Takes note of what the peer is sent.
    pub(super) fn sent(&self, push: &Push) {
        if let Some(present) = self.peers.state().peers.get_mut(&self.key) {
            for (name, secret) in &push.secrets {
                if present.sent.len() < MOST_NAMES_NOTED || present.sent.contains_key(name.as_str()) {
                    present.sent.insert(name.to_string(), Arc::clone(secret.version()));
                }
            }
        }
    }

    /// Whether a rejection by the peer may be logged now, and if so how many were not since the last line.
    pub(super) fn may_log_rejection(&self) -> Option<u64> {
        let of_peer = self.peers.state().peers.get(&self.key)?.rejections.admit()?;
        Some(of_peer + self.peers.0.rejections.admit()?)
    }

    /// All that the peer was last sent, as `name@version` by name. Envoy rejects the secret that came last,
    /// which often is not the one at fault.
    pub(super) fn last_sent(&self) -> String {
        let state = self.peers.state();
        let sent = state.peers.get(&self.key).map(|present| &present.sent);
        sent.into_iter().flatten().fold(String::new(), |mut text, (name, version)| {
            let separator = if text.is_empty() { "" } else { " " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{separator}{name}@{version}");
            text
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.peers.state();
        state.streams = state.streams.saturating_sub(1);
        state.leave(&self.key, |present| &mut present.streams);
        metrics::stream_ended();
    }
}

/// A workload has five names; a peer without a readable cgroup may speak for several workloads.
const MOST_NAMES_NOTED: usize = 64;
/// A proxy that rejects a bad certificate and bad roots is heard in full, and again with the next ones.
const LINES_AT_ONCE_OF_PEER: u32 = 8;
const PACE_OF_PEER: Duration = Duration::from_secs(10);
/// A bad push to a whole node is seen in any of these.
const LINES_AT_ONCE: u32 = 64;
const PACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::{
        peer::testing::peer_named,
        sds::{resource_name::ResourceName, secret::PublishedSecret},
    };

    fn push(name: &str, content: &str) -> Push {
        let name = ResourceName::parse(name, &"td.test".parse().unwrap()).unwrap();
        Push { nonce: "n".to_owned(), secrets: vec![(name, PublishedSecret::for_tests(content))] }
    }

    fn peers(node: usize, peer: usize) -> Peers {
        Peers::new(StreamLimits { node, peer, connections_per_peer: 2 })
    }

    #[test]
    fn a_peer_has_its_bound_and_the_node_another() {
        let peers = peers(3, 2);
        let (greedy, modest) = (peer_named("greedy"), peer_named("modest"));
        let seats = [peers.admit(&greedy).unwrap(), peers.admit(&greedy).unwrap()];
        assert_eq!(peers.admit(&greedy).unwrap_err().code(), Code::ResourceExhausted);
        let _seat = peers.admit(&modest).unwrap();
        assert_eq!(peers.admit(&modest).unwrap_err().code(), Code::ResourceExhausted, "the node is full");
        drop(seats);
        assert!(peers.admit(&modest).is_ok());
    }

    #[test]
    fn a_peer_has_its_bound_of_connections_and_another_its_own() {
        let peers = peers(3, 2);
        let connect = |name: &str| peers.connect_as(peer_named(name));
        let (first, _second) = (connect("greedy").unwrap(), connect("greedy").unwrap());
        assert!(connect("greedy").is_none());
        assert!(connect("modest").is_some());
        let of_a_request = first.clone();
        drop(first);
        assert!(connect("greedy").is_none(), "a request holds the place");
        drop(of_a_request);
        assert!(connect("greedy").is_some(), "a freed place is given again");
    }

    #[test]
    fn peers_that_have_vanished_have_one_bound_together() {
        let peers = peers(3, 2);
        let vanished = |pid: i32| peers.connect(&UnixCredentials::new(Some(pid), 1337, 1337));
        let _held = [i32::MAX, i32::MAX - 1].map(|pid| vanished(pid).unwrap());
        assert!(vanished(i32::MAX - 2).is_none());
    }

    #[test]
    fn nothing_is_remembered_of_a_peer_that_left() {
        let peers = peers(3, 2);
        drop(peers.admit(&peer_named("gone")).unwrap());
        drop(peers.connect_as(peer_named("gone")).unwrap());
        assert!(peers.state().peers.is_empty());
        assert_eq!(peers.state().streams, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn rejections_are_logged_at_a_bounded_rate_per_peer_and_for_the_node() {
        let peers = peers(1000, 2);
        let seat = |name: &str| peers.admit(&peer_named(name)).unwrap();
        let lines = |seat: &Seat| (0..100).filter_map(|_| seat.may_log_rejection()).collect::<Vec<_>>();
        let [noisy, same, other] = ["noisy", "noisy", "other"].map(seat);

        assert_eq!(lines(&noisy).len(), LINES_AT_ONCE_OF_PEER as usize);
        assert!(lines(&same).is_empty(), "another stream of the same peer");
        assert_eq!(lines(&other).len(), LINES_AT_ONCE_OF_PEER as usize);

        tokio::time::advance(PACE_OF_PEER).await;
        assert_eq!(lines(&noisy), [92 + 100], "says how many were left out");

        let all: usize = (0..100).map(|peer| lines(&seat(&format!("new {peer}"))).len()).sum();
        assert!(all <= LINES_AT_ONCE as usize, "{all} lines of new peers");
    }

    #[test]
    fn what_is_noted_of_a_peer_is_bounded() {
        let seat = peers(1, 1).admit(&peer_named("a")).unwrap();
        for number in 0..2 * MOST_NAMES_NOTED {
            seat.sent(&push(&format!("spiffe://td.test/{number}"), "x"));
        }
        assert_eq!(seat.last_sent().split(' ').count(), MOST_NAMES_NOTED);
    }

    #[test]
    fn what_a_peer_was_last_sent_is_known_on_each_of_its_streams() {
        let peers = peers(3, 2);
        let [one, two] = [0, 1].map(|_| peers.admit(&peer_named("a")).unwrap());
        let other = peers.admit(&peer_named("b")).unwrap();
        one.sent(&push("default", "old"));
        one.sent(&push("default", "new"));
        two.sent(&push("ROOTCA", "root"));
        let version = |content: &str| PublishedSecret::for_tests(content).version().clone();
        assert_eq!(two.last_sent(), format!("ROOTCA@{} default@{}", version("root"), version("new")));
        assert_eq!(other.last_sent(), "");
    }
}
