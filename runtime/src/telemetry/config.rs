//! `[telemetry]`: how a process speaks to its operator.

use super::{LogFormat, logs};
use crate::config::Section;

/// Logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// `log_format`: `json` (default) or `text`.
    pub log_format: LogFormat,
    /// `log_filter`: a level, or directives as of `tracing`'s `EnvFilter`. Default `info`.
    pub log_filter: String,
}

impl TelemetryConfig {
    /// What the section sets; its keys: `log_format`, `log_filter`.
    pub fn from_section(section: &Section<'_>) -> Self {
        let log_filter: String = section.optional("log_filter", "info".to_owned());
        if let Err(error) = logs::parsed(&log_filter) {
            section.fault("log_filter", error.to_string());
        }
        Self { log_format: section.optional("log_format", LogFormat::Json), log_filter }
    }
}
