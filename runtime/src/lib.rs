//! What any Signet process stands on.
//!
//! Serving: [`listener`] accepts, [`cores`] run, [`connection`] bounds, [`peer`] says who, [`tls`] protects.
//! Operating: [`config`], [`telemetry`], [`line_limit`], [`operations`], [`shutdown`], [`hardening`],
//! [`open_files`]. Below both: [`files`], the [`RequestId`] of a refusal and the real [`clock`]. Nothing here
//! knows what a certificate authority or a node agent is.

mod accept;
pub mod clock;
pub mod config;
pub mod connection;
pub mod cores;
pub mod files;
pub mod hardening;
pub mod line_limit;
pub mod listener;
pub mod open_files;
pub mod operations;
pub mod peer;
mod request_id;
pub mod shutdown;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tls;

pub use clock::SystemClock;
pub use request_id::RequestId;
