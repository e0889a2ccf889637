//! Load on a certificate authority, and on a node agent ([`sds`]), as `signet bench` and `make bench` put it there.
//!
//! Two shapes. In a *closed* loop a fixed number of requests is in flight and the next one starts when one ends: what a
//! CA can do at most. In an *open* loop requests start when a schedule says so, whatever became of the ones before: what
//! its callers see. Latency of the open loop counts from the scheduled start, so that a CA that stalls is charged for
//! every request that would have come meanwhile, and not for the one that met the stall (no coordinated omission).
//!
//! Everything is bounded: requests in flight by the load's shape, each request by the client's deadline of 5 s, what is
//! remembered by a histogram of fixed size.

mod alarm;
mod arrivals;
mod csrs;
mod issuance;
mod ledger;
mod ring;
pub mod sds;
mod tally;

pub use csrs::CsrKeys;
pub use issuance::{Connections, Issuance, Requests, Until};
pub use ledger::Ledger;
pub use tally::{Latencies, Refusals, Tally};
