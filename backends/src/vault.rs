//! Vault and OpenBao: their PKI signs each leaf ([`VaultLeafIssuer`]) or an intermediate of ours
//! ([`VaultIntermediate`]).
//!
//! [`VaultClient`] is one Vault, reached by HTTP/1.1 within bounds: it knows no token. [`VaultSession`] is
//! one login at it. The requests' layout is that of the vaultrs crate; its HTTP client is not used, for it
//! follows redirects with the token, trusts the system's roots beside the pinned ones, and loses
//! `Retry-After`.

mod answer;
mod breaker;
mod chain;
mod check;
mod client;
mod config;
mod error;
mod files;
mod intermediate;
mod leaf;
mod limit;
mod login;
mod measured;
mod request;
mod retry;
mod session;
mod setup;
#[cfg(test)]
mod tests;
mod token;
mod transport;

pub use chain::{IssuerChain, IssuerPath};
pub use check::{Finding, Purpose, VaultCheck, Verdict};
pub use client::VaultClient;
pub use config::{AuthConfig, AuthMethod, PkiConfig, VaultConfig};
pub use error::{VaultError, VaultFileError};
pub use intermediate::{IntermediateError, VaultIntermediate};
pub use leaf::{LeafRequest, Signed, VaultLeafIssuer};
pub use login::Login;
pub use measured::describe_metrics;
pub use session::VaultSession;
pub use setup::{Signs, VaultSetup};
