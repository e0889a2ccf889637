//! `[limits]`: every bound on what clients can make the CA do.

use signet_runtime::{config::Section, connection, listener::Capacity};

use crate::admission::AdmissionLimits;

/// Every bound, with defaults that serve a mesh of some hundred nodes per core.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// `in_flight` (256) and `queue` (1,024): requests under way, and waiting for that.
    pub admission: AdmissionLimits,
    /// `max_message_bytes`: one request message. Default 64 KiB; a CSR has about one.
    pub max_message_bytes: usize,
    /// `max_waiting_audit_records`: records that may wait to be written. Default 4,096.
    pub max_waiting_audit_records: usize,
    /// Bounds of the process: `max_connections`, `max_handshakes`.
    pub capacity: Capacity,
    /// Bounds of one connection; see [`connection::Limits::from_section`].
    pub connection: connection::Limits,
}

impl LimitsConfig {
    pub(super) fn read(section: &Section<'_>) -> Self {
        Self {
            admission: AdmissionLimits {
                in_flight: section.within("in_flight", 256, 1..=MANY),
                queue: section.within("queue", 1024, 0..=MANY),
            },
            max_message_bytes: section.within("max_message_bytes", 64 << 10, 4 << 10..=4 << 20),
            max_waiting_audit_records: section.within("max_waiting_audit_records", 4096, 1..=MANY),
            capacity: Capacity::from_section(section),
            connection: connection::Limits::from_section(section),
        }
    }
}

/// A number that nobody needs and every machine of ours can hold.
const MANY: usize = 1 << 20;
