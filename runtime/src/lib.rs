//! What any Signet process stands on: configuration, files, the real clock.

pub mod clock;
pub mod config;
pub mod files;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use clock::SystemClock;
