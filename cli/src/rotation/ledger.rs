//! What happened to connections, and when certificates changed meanwhile.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::time::Instant;

use crate::output::{json_precise_moment, json_seconds, json_seconds_if_known};

/// Counts, and remembers what a person asks for after a bad night: the first failure, and the longest gap.
#[derive(Debug)]
pub(super) struct Ledger {
    last_success: Instant,
    tally: Tally,
    /// Serial of the certificate before the last, and when the last one was first seen.
    before: Option<(String, Instant)>,
}

/// The figures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) handshakes: u64,
    pub(super) failures: u64,
    pub(super) first_failure: Option<Failure>,
    pub(super) longest_gap: Duration,
    pub(super) rotations: Vec<Rotation>,
}

/// A connection that did not come about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Failure {
    #[serde(serialize_with = "json_precise_moment")]
    pub(super) at: SystemTime,
    /// Which one: `new with old`, an address.
    pub(super) connection: String,
    pub(super) reason: String,
}

/// One certificate in place of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Rotation {
    #[serde(serialize_with = "json_precise_moment")]
    pub(super) at: SystemTime,
    pub(super) old_serial: String,
    pub(super) new_serial: String,
    /// How long the old certificate was still valid when the new one came: what a late peer has.
    #[serde(rename = "old_valid_for_seconds", serialize_with = "json_seconds")]
    pub(super) old_valid_for: Duration,
    /// From the first connection that met the new one to the last that met the old one.
    #[serde(
        rename = "both_seen_seconds",
        serialize_with = "json_seconds_if_known",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) both_seen: Option<Duration>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { last_success: Instant::now(), tally: Tally::default(), before: None }
    }
}

impl Ledger {
    /// A connection came about.
    pub(super) fn succeeded(&mut self) {
        self.tally.handshakes += 1;
        self.note_gap();
        self.last_success = Instant::now();
    }

    /// A connection did not.
    pub(super) fn failed(&mut self, failure: Failure) {
        self.tally.handshakes += 1;
        self.tally.failures += 1;
        self.tally.first_failure.get_or_insert(failure);
    }

    /// A new certificate is there.
    pub(super) fn rotated(&mut self, rotation: Rotation) {
        self.before = Some((rotation.old_serial.clone(), Instant::now()));
        self.tally.rotations.push(rotation);
    }

    /// A certificate was met. Is it the one before the last, still served?
    pub(super) fn met(&mut self, serial: &str) -> bool {
        match (&self.before, self.tally.rotations.last_mut()) {
            (Some((before, since)), Some(rotation)) if before == serial => {
                rotation.both_seen = Some(since.elapsed());
                true
            }
            _ => false,
        }
    }

    /// Connections so far, failed ones included.
    pub(super) fn handshakes(&self) -> u64 {
        self.tally.handshakes
    }

    /// Rotations so far.
    pub(super) fn rotations(&self) -> usize {
        self.tally.rotations.len()
    }

    /// The last one.
    pub(super) fn last_rotation(&self) -> Option<&Rotation> {
        self.tally.rotations.last()
    }

    /// The end of it: a gap that still lasts is one.
    pub(super) fn close(mut self) -> Tally {
        self.note_gap();
        self.tally
    }

    fn note_gap(&mut self) {
        self.tally.longest_gap = self.tally.longest_gap.max(self.last_success.elapsed());
    }
}

#[cfg(test)]
mod tests;
