//! The node agent: gives the proxies of a node their SVIDs over Envoy's SDS and keeps them fresh.

mod bundle;
pub mod config;
pub mod metrics;
mod peer;
mod schedule;
mod sds;
mod secret_cache;
mod socket;
mod trouble;
pub mod workload;

pub use secret_cache::SecretCache;
