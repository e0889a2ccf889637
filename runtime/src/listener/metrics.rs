//! What is counted of connections: `<process>_connections`, `..._ended_total`, `..._refused_total`.

use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

use crate::connection::End;

/// Why a connection was closed before it was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// All places are taken.
    Full,
    /// The peer may not connect, or not once more.
    Peer,
}

/// The metrics of a server's connections, all there from the start: a counter that appears with its first
/// event hides that event from `rate()`.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) open: Gauge,
    ended: [(End, Counter); End::ALL.len()],
    refused: [(Refusal, Counter); 2],
}

impl Metrics {
    pub(super) fn of(process: &str) -> Self {
        let name = |suffix: &str| format!("{process}_connections{suffix}");
        describe_gauge!(name(""), Unit::Count, "connections that are open");
        describe_counter!(name("_ended_total"), Unit::Count, "connections that ended, by reason");
        describe_counter!(name("_refused_total"), Unit::Count, "connections closed unserved, by reason");
        let refused = |refusal, reason| (refusal, counter!(name("_refused_total"), "reason" => reason));
        Self {
            open: gauge!(name("")),
            ended: End::ALL.map(|end| (end, counter!(name("_ended_total"), "reason" => end.name()))),
            refused: [refused(Refusal::Full, "full"), refused(Refusal::Peer, "peer")],
        }
    }

    pub(super) fn ended(&self, end: End) {
        increment(&self.ended, end);
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        increment(&self.refused, refusal);
    }
}

fn increment<L: PartialEq>(counters: &[(L, Counter)], label: L) {
    if let Some((_, counter)) = counters.iter().find(|(of, _)| *of == label) {
        counter.increment(1);
    }
}
