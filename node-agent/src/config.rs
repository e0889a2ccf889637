//! The configuration of the agent: one TOML file, every key with a default, every fault reported at once.
//!
//! Each section is read and checked by the file that is named after it. A [`Config`] that exists can be
//! started, as far as that can be known without touching the world.

mod ca;
mod certificate;
mod identity;
mod limits;
mod operations;
mod socket;

use std::path::Path;

use signet_client::Token;
use signet_runtime::{
    config::{Document, Environment, Faults},
    telemetry::{TelemetryConfig, chain},
};

pub use self::{
    ca::CaConfig, certificate::CertificateConfig, identity::IdentityConfig, limits::LimitsConfig,
    operations::OperationsConfig, socket::SocketConfig,
};

use crate::workload::token::IdentitySource;

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
        let environment = Environment::of_process(ENVIRONMENT_PREFIX, &[CONFIG_VARIABLE]);
        Self::read(Document::load(file, environment)?)
    }

    fn read(document: Document) -> Result<Self, Faults> {
        let identity = IdentityConfig::read(&document.section("identity"));
        let ca = identity
            .as_ref()
            .and_then(|identity| CaConfig::read(&document.section("ca"), &identity.trust_domain));
        let sockets = socket::read_all(&document.tables("socket"));
        let certificate = CertificateConfig::read(&document.section("certificate"));
        let limits = LimitsConfig::read(&document.section("limits"));
        let operations = OperationsConfig::read(&document.section("operations"));
        let telemetry = TelemetryConfig::from_section(&document.section("telemetry"));
        let checked = identity.zip(ca).zip(sockets);
        document.finish(checked.map(|((identity, ca), sockets)| Self {
            identity,
            ca,
            sockets,
            certificate,
            limits,
            operations,
            telemetry,
        }))
    }

    /// What is wrong with the files that the configuration names. For `signet-node-agent check`: an agent that
    /// is started waits for them, and says so in its log.
    pub fn check_files(&self) -> Vec<String> {
        let anchors = self.ca.endpoint.check_anchors().err();
        let anchors = anchors.map(|error| format!("ca.anchors: {}", chain(&error)));
        let tokens = self.sockets.iter().enumerate().filter_map(|(place, socket)| {
            let IdentitySource::TokenFile(path) = &socket.identity else { return None };
            let error = Token::read(path).err()?;
            Some(format!("socket[{place}].token_file: {}", chain(&error)))
        });
        anchors.into_iter().chain(tokens).collect()
    }
}

#[cfg(test)]
mod tests;
