//! What a process tells of itself: logs and metrics.

mod chain;
mod config;
mod logs;
mod metrics;

pub use self::{
    chain::chain,
    config::TelemetryConfig,
    logs::{LogFormat, init},
    metrics::{Metrics, install_metrics},
};

/// Why telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("`{filter}` is no log filter (want e.g. `info` or `info,signet_ca=debug`)")]
    Filter {
        /// The filter as it was given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something of this process logs or measures already: a fault of this program.
    #[error("logs and metrics can be installed once in a process")]
    Twice,
}
