//! How many streams each peer may have, and what it was last sent.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

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
}

/// How many SDS streams and fetches may be in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// By all peers together.
    pub node: usize,
    /// By one peer: a cgroup, or a connection where the cgroup cannot be read.
    pub peer: usize,
}

impl Default for StreamLimits {
    /// 250 pods with sixteen streams each fit; no pod gets more than a sixteenth of it all.
    fn default() -> Self {
        Self { node: 4096, peer: 256 }
    }
}

#[derive(Debug, Default)]
struct State {
    streams: usize,
    peers: HashMap<PeerKey, Present>,
}

#[derive(Debug, Default)]
struct Present {
    streams: usize,
    /// Version last sent under each name, whatever the stream.
    sent: BTreeMap<String, Arc<str>>,
}

impl Peers {
    /// Nobody yet.
    pub fn new(limits: StreamLimits) -> Self {
        Self(Arc::new(Shared { limits, state: Mutex::default() }))
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
        if let Some(present) = state.peers.get_mut(&self.key) {
            present.streams = present.streams.saturating_sub(1);
            if present.streams == 0 {
                state.peers.remove(&self.key);
            }
        }
        metrics::stream_ended();
    }
}

/// A workload has five names; a peer without a readable cgroup may speak for several workloads.
const MOST_NAMES_NOTED: usize = 64;

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
        Peers::new(StreamLimits { node, peer })
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
    fn nothing_is_remembered_of_a_peer_that_left() {
        let peers = peers(3, 2);
        drop(peers.admit(&peer_named("gone")).unwrap());
        assert!(peers.state().peers.is_empty());
        assert_eq!(peers.state().streams, 0);
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
