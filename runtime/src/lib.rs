//! What any Signet process stands on: serving cores and the connection loop, TLS, configuration, files, the
//! real clock.

pub mod clock;
pub mod config;
pub mod connection;
pub mod cores;
pub mod files;
pub mod listener;
pub mod peer;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tls;

pub use clock::SystemClock;
