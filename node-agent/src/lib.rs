//! The node agent: gives the proxies of a node their SVIDs over Envoy's SDS and keeps them fresh.

mod bundle;
pub mod config;
mod peer;
mod schedule;
mod sds;
mod socket;
pub mod workload;
