//! The certificate authority: authenticates workloads and issues X.509-SVIDs.

pub mod admission;
pub mod audit;
pub mod authn;
pub mod authority;
pub mod config;
pub mod health;
pub mod issuance;
pub mod metrics;
pub mod process;
pub mod routes;
pub mod service;
pub mod serving_certificate;
mod signing;
mod status;
pub mod store;
#[cfg(test)]
mod testing;
pub mod trust;
pub mod trust_bundle_service;
pub mod vault;
