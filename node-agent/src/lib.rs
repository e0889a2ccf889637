//! The node agent: gives the proxies of a node their SVIDs over Envoy's SDS and keeps them fresh.

mod bundle;
mod schedule;
mod sds;
