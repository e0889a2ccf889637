//! How many connections there may be at once, and how many handshakes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::metrics::{Metrics, Refusal};
use crate::{config::Section, connection::End};

/// The bounds of a server as a whole, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    connections: usize,
    handshakes: usize,
}

impl Default for Capacity {
    /// 4,096 connections take about 220 MB when all are active (53 kB each), next to nothing when few are.
    fn default() -> Self {
        Self { connections: 4096, handshakes: 64 }
    }
}

impl Capacity {
    /// The bounds that a section sets; its keys: `max_connections`, `max_handshakes`.
    pub fn from_section(section: &Section<'_>) -> Self {
        let without = Self::without_handshakes(section);
        Self { handshakes: section.within("max_handshakes", without.handshakes, 1..=10_000), ..without }
    }

    /// The same of a process without TLS; its key: `max_connections`.
    pub fn without_handshakes(section: &Section<'_>) -> Self {
        let default = Self::default();
        let connections = section.within("max_connections", default.connections, 1..=1_000_000);
        Self { connections, ..default }
    }

    /// How many connections there may be at once.
    pub fn connections(&self) -> usize {
        self.connections
    }
}

/// The places of a server: those that are free, and who has been turned away.
#[derive(Clone, Debug)]
pub(super) struct Room {
    places: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Room {
    pub(super) fn new(capacity: Capacity, process: &str) -> Self {
        Self {
            places: Arc::new(Semaphore::new(capacity.connections)),
            handshakes: Arc::new(Semaphore::new(capacity.handshakes)),
            metrics: Arc::new(Metrics::of(process)),
        }
    }

    /// A place for one more connection; `None` when all are taken, which is counted.
    pub(super) fn enter(&self) -> Option<Slot> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.refuse(Refusal::Full);
            return None;
        };
        self.metrics.open.increment(1.0);
        Some(Slot { _place: place, metrics: Arc::clone(&self.metrics) })
    }

    /// Counts a connection that was closed without being served.
    pub(super) fn refuse(&self, refusal: Refusal) {
        self.metrics.refused(refusal);
    }

    /// A permit for each handshake that may be going on.
    pub(super) fn handshakes(&self) -> &Semaphore {
        &self.handshakes
    }
}

/// The place of one connection, free again when this is dropped.
pub(super) struct Slot {
    _place: OwnedSemaphorePermit,
    metrics: Arc<Metrics>,
}

impl Slot {
    /// Counts why the connection ended, and frees its place.
    pub(super) fn ended(self, end: End) {
        self.metrics.ended(end);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.metrics.open.decrement(1.0);
    }
}
