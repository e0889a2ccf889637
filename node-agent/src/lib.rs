//! The node agent: gives the proxies of a node their SVIDs over Envoy's SDS and keeps them fresh.

mod bundle;
pub mod config;
pub mod metrics;
mod moment;
mod peer;
pub mod process;
mod renewer;
mod routes;
mod schedule;
mod sds;
mod secret_cache;
mod socket;
#[cfg(test)]
mod testing;
mod trouble;
mod vault;
pub mod workload;

pub use moment::Moment;
pub use renewer::{Renewer, Terms};
pub use schedule::RotationSchedule;
pub use sds::{Connection, Peers, SdsService, StreamLimits};
pub use secret_cache::SecretCache;
pub use vault::{VaultCa, VaultKeeper, operator};
