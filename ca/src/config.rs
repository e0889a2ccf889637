//! The configuration of the CA: one TOML file, every key with a default, every fault reported at once.
//!
//! Each section is read and checked by the file that is named after it. What leaves here is checked: a
//! [`Config`] that exists can be started, as far as that can be known without touching the world;
//! [`Config::check_files`] touches the files too.

mod identity;
mod issuer;
mod issuing;
mod limits;
mod listen;
mod storage;

use std::path::Path;

use signet_runtime::{
    config::{Document, Environment, Faults},
    telemetry::{TelemetryConfig, chain},
};

pub use self::{
    identity::IdentityConfig,
    issuing::IssuingConfig,
    limits::LimitsConfig,
    listen::ListenConfig,
    storage::{AuditConfig, StateConfig},
};
use crate::authn::{DevelopmentKeys, IssuerConfig};

/// Prefix of the environment variables that override keys: `SIGNET_CA_STATE_DIRECTORY`.
const ENVIRONMENT_PREFIX: &str = "SIGNET_CA_";

/// The variable that names the configuration file, as `--config` does.
pub const CONFIG_VARIABLE: &str = "SIGNET_CA_CONFIG";

/// The variable that stands for `--development`.
pub const DEVELOPMENT_VARIABLE: &str = "SIGNET_CA_DEVELOPMENT";

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[listen]`: addresses and cores.
    pub listen: ListenConfig,
    /// `[identity]`: the trust domain and the CA's own names.
    pub identity: IdentityConfig,
    /// `[state]`: where the authority is kept.
    pub state: StateConfig,
    /// `[issuing]`: lifetimes.
    pub issuing: IssuingConfig,
    /// `[audit]`: the audit log.
    pub audit: AuditConfig,
    /// `[[issuer]]`: whose tokens are accepted.
    pub issuers: Vec<IssuerConfig>,
    /// `[limits]`: every bound.
    pub limits: LimitsConfig,
    /// `[telemetry]`: logs.
    pub telemetry: TelemetryConfig,
    /// Whether keys of a development issuer are accepted: `--development`.
    pub development: DevelopmentKeys,
}

impl Config {
    /// Reads the file, if there is one, and the environment of this process.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(file: Option<&Path>, development: DevelopmentKeys) -> Result<Self, Faults> {
        let others = [CONFIG_VARIABLE, DEVELOPMENT_VARIABLE];
        let environment = Environment::of_process(ENVIRONMENT_PREFIX, &others);
        Self::read(Document::load(file, environment)?, development)
    }

    fn read(document: Document, development: DevelopmentKeys) -> Result<Self, Faults> {
        let listen = ListenConfig::read(&document.section("listen"));
        let identity = IdentityConfig::read(&document.section("identity"));
        let state = StateConfig::read(&document.section("state"));
        let issuing = identity.as_ref().and_then(|identity| {
            IssuingConfig::read(&document.section("issuing"), identity.trust_domain.clone())
        });
        let audit = AuditConfig::read(&document.section("audit"), &state);
        let issuers = issuer::read_all(&document.tables("issuer"), development);
        let limits = LimitsConfig::read(&document.section("limits"));
        let telemetry = TelemetryConfig::from_section(&document.section("telemetry"));
        let checked = identity.zip(issuing).zip(issuers);
        document.finish(checked.map(|((identity, issuing), issuers)| Self {
            listen,
            identity,
            state,
            issuing,
            audit,
            issuers,
            limits,
            telemetry,
            development,
        }))
    }

    /// What is wrong with the files that the configuration names, and with having nobody to serve. For
    /// `signet-ca check`: a CA that is started reports the same as it meets it.
    pub fn check_files(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (place, issuer) in self.issuers.iter().enumerate() {
            if let Err(error) = issuer.source.check_files(self.development) {
                faults.push(format!("issuer[{place}]: {}", chain(&error)));
            }
        }
        if self.issuers.is_empty() {
            faults.push(NO_ISSUER.to_owned());
        }
        faults.extend(self.state.check_files());
        faults.extend(self.audit.check_files(&self.state));
        faults
    }
}

/// What a CA without issuers is told, by `check` and by its readiness.
pub const NO_ISSUER: &str = "issuer: none is configured, so every token is refused \
     (want an `[[issuer]]` with the `url` that service-account tokens carry as `iss`)";

#[cfg(test)]
mod tests;
