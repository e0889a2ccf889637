//! The node agent: gives the proxies of a node their SVIDs over Envoy's SDS and keeps them fresh.

mod bundle;
mod peer;
mod schedule;
mod sds;
pub mod workload;
