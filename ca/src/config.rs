//! The configuration of the CA: one TOML file, every key with a default, every fault reported at once.
//!
//! Each section is read and checked by the file that is named after it. What leaves here is checked: a
//! [`Config`] that exists can be started with, the files that it names included. A start and
//! `signet-ca check` come by it the same way, so that they cannot differ.

mod authority;
mod identity;
mod issuer;
mod issuing;
mod limits;
mod listen;
mod sections;
mod serving;
mod storage;

use std::path::Path;

use signet_backends::vault::VaultConfig;
use signet_identity::Clock;
use signet_runtime::{
    config::{Document, Environment, Faults},
    telemetry::TelemetryConfig,
};

use self::sections::{Occasion, Sections};

pub use self::{
    authority::{AuthorityConfig, InjectedConfig},
    identity::IdentityConfig,
    issuing::IssuingConfig,
    limits::LimitsConfig,
    listen::{BindError, ListenConfig},
    storage::{AuditConfig, StateConfig},
};
use crate::{
    authn::{DevelopmentKeys, IssuerConfig},
    serving_certificate::ServingFiles,
    store,
};

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
    /// `[authority]`: who signs.
    pub authority: AuthorityConfig,
    /// `[injected]`: an operator's files.
    pub injected: InjectedConfig,
    /// `[vault]`: where Vault is, and what signs there. `None`: there is none.
    pub vault: Option<VaultConfig>,
    /// `[serving]`: where the CA's own certificate is, if an operator keeps it.
    pub serving: Option<ServingFiles>,
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
    /// Reads the file, if there is one, and the environment of this process, and judges the files that they
    /// name: what is returned can be started with, as far as can be known without changing anything.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(
        file: Option<&Path>,
        development: DevelopmentKeys,
        clock: &dyn Clock,
    ) -> Result<Self, Faults> {
        let document = document(file)?;
        let sections = Sections::read(&document, development);
        sections.judge_files(&document, Occasion::Start, clock.now());
        let config = sections.checked();
        document.finish(config)
    }

    /// The same without a look at the files: for who is about a part of the configuration, and may not be on the machine
    /// that it is for.
    ///
    /// # Errors
    /// Everything that is wrong with the text, at once.
    pub fn read(file: Option<&Path>, development: DevelopmentKeys) -> Result<Self, Faults> {
        let document = document(file)?;
        let config = Sections::read(&document, development).checked();
        document.finish(config)
    }

    /// Finds what [`load`](Self::load) finds, and more: ports that cannot be had, and injected files that a CA with a state
    /// would start without. Returns what an operator should
    /// know of a configuration without faults.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn check(
        file: Option<&Path>,
        development: DevelopmentKeys,
        clock: &dyn Clock,
    ) -> Result<Vec<String>, Faults> {
        let document = document(file)?;
        let sections = Sections::read(&document, development);
        sections.judge_files(&document, Occasion::Check, clock.now());
        let running = store::holder(&sections.state.directory);
        if running.is_none() {
            sections.judge_ports(&document);
        }
        let config = sections.checked();
        let config = document.finish(config)?;
        let in_use = running.map(|pid| {
            format!("state.directory: in use by process {pid}, so that a second CA would be refused; ports were not tried")
        });
        Ok(config.notices().into_iter().chain(in_use).collect())
    }

    /// What an operator should know, though it is no fault.
    pub fn notices(&self) -> Vec<String> {
        let without_issuer = self.issuers.is_empty().then(|| NO_ISSUER.to_owned());
        let without_overlap = self.authority.overlap.is_zero().then(|| NO_OVERLAP.to_owned());
        without_issuer.into_iter().chain(without_overlap).collect()
    }
}

fn document(file: Option<&Path>) -> Result<Document, Faults> {
    let others = [CONFIG_VARIABLE, DEVELOPMENT_VARIABLE];
    Document::load(file, Environment::of_process(ENVIRONMENT_PREFIX, &others))
}

/// What a CA without issuers is told: at start, by `check`, and by its readiness.
pub const NO_ISSUER: &str = "issuer: none is configured, so every token is refused \
     (want an `[[issuer]]` with the `url` that service-account tokens carry as `iss`)";

/// What a CA without an overlap is told.
const NO_OVERLAP: &str = "authority.overlap: is zero, so leaves follow on a new root at once: proxies that have not heard \
     of it refuse them (want at least a few minutes, or the default)";

#[cfg(test)]
mod tests;
