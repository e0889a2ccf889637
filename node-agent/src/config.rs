//! The configuration of the agent: one TOML file, every key with a default, every fault reported at once.
//!
//! Each section is read and checked by the file that is named after it. A [`Config`] that exists can be
//! started, as far as that can be known without touching the world.

mod ca;
mod certificate;
mod identity;
mod limits;
mod operations;
mod sections;
mod socket;
mod vault;

use std::path::Path;

use signet_runtime::{
    config::{Document, Environment, Faults},
    telemetry::TelemetryConfig,
};

pub use self::{
    ca::{CaConfig, Source},
    certificate::CertificateConfig,
    identity::IdentityConfig,
    limits::LimitsConfig,
    operations::OperationsConfig,
    socket::SocketConfig,
};

use self::sections::Sections;

/// Prefix of the environment variables that override keys: `SIGNET_AGENT_CA_ADDRESS`.
const ENVIRONMENT_PREFIX: &str = "SIGNET_AGENT_";

/// The variable that names the configuration file, as `--config` does.
pub const CONFIG_VARIABLE: &str = "SIGNET_AGENT_CONFIG";

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[identity]`: the trust domain.
    pub identity: IdentityConfig,
    /// `[ca]`: where certificates come from.
    pub ca: CaConfig,
    /// `[[socket]]`: where proxies ask, and whose identity they get. At least one.
    pub sockets: Vec<SocketConfig>,
    /// `[certificate]`: what is asked for.
    pub certificate: CertificateConfig,
    /// `[limits]`: every bound.
    pub limits: LimitsConfig,
    /// `[operations]`: metrics and probes.
    pub operations: OperationsConfig,
    /// `[telemetry]`: logs.
    pub telemetry: TelemetryConfig,
}

impl Config {
    /// Reads the file, if there is one, and the environment of this process.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(file: Option<&Path>) -> Result<Self, Faults> {
        Self::read(document(file)?)
    }

    /// Finds what [`load`](Self::load) finds, and what is wrong with the files that the configuration names:
    /// sockets that a start would refuse, and others that it would wait for, saying so in its log. Whether
    /// somebody serves a socket already is not asked.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn check(file: Option<&Path>) -> Result<(), Faults> {
        Self::judge(document(file)?)
    }

    fn read(document: Document) -> Result<Self, Faults> {
        let config = Sections::read(&document).checked();
        document.finish(config)
    }

    fn judge(document: Document) -> Result<(), Faults> {
        let sections = Sections::read(&document);
        sections.judge_files(&document);
        let config = sections.checked();
        document.finish(config).map(drop)
    }
}

fn document(file: Option<&Path>) -> Result<Document, Faults> {
    Document::load(file, Environment::of_process(ENVIRONMENT_PREFIX, &[CONFIG_VARIABLE]))
}

#[cfg(test)]
mod tests;
