//! All sections of one document, each as far as it could be understood.

use std::time::{Duration, SystemTime};

use signet_backends::{injected, vault::VaultConfig};
use signet_runtime::{
    config::Document,
    telemetry::{TelemetryConfig, chain},
};

use super::{
    AuditConfig, AuthorityConfig, Config, IdentityConfig, InjectedConfig, IssuingConfig, LimitsConfig,
    ListenConfig, StateConfig, issuer, serving,
};
use crate::{
    authn::{DevelopmentKeys, IssuerConfig},
    serving_certificate::ServingFiles,
    store::{self, StoreSettings},
    trust::Origin,
};

/// Why the files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    Check,
    Start,
}

/// What was read. Its faults are with the document.
pub(super) struct Sections {
    pub(super) state: StateConfig,
    listen: ListenConfig,
    identity: Option<IdentityConfig>,
    issuing: Option<IssuingConfig>,
    authority: AuthorityConfig,
    injected: InjectedConfig,
    vault: Option<VaultConfig>,
    serving: Option<ServingFiles>,
    audit: AuditConfig,
    issuers: Vec<Option<IssuerConfig>>,
    limits: LimitsConfig,
    telemetry: TelemetryConfig,
    development: DevelopmentKeys,
}

impl Sections {
    pub(super) fn read(document: &Document, development: DevelopmentKeys) -> Self {
        let state = StateConfig::read(&document.section("state"));
        let identity = IdentityConfig::read(&document.section("identity"));
        let issuing = identity.as_ref().and_then(|identity| {
            IssuingConfig::read(&document.section("issuing"), identity.trust_domain.clone())
        });
        let longest_leaf = issuing.as_ref().map(|issuing| issuing.policy.max_lifetime());
        let sections = Self {
            listen: ListenConfig::read(&document.section("listen")),
            authority: AuthorityConfig::read(&document.section("authority"), longest_leaf),
            injected: InjectedConfig::read(&document.section("injected")),
            vault: VaultConfig::read(&document.section("vault")),
            serving: serving::read(&document.section("serving")),
            audit: AuditConfig::read(&document.section("audit"), &state),
            issuers: issuer::read_all(&document.tables("issuer"), development),
            limits: LimitsConfig::read(&document.section("limits")),
            telemetry: TelemetryConfig::from_section(&document.section("telemetry")),
            state,
            identity,
            issuing,
            development,
        };
        sections.judge_vault(document);
        sections
    }

    /// Adds what is wrong with the files to the faults of `document`. Files of keys that have a fault already
    /// are not those that were meant.
    pub(super) fn judge_files(&self, document: &Document, occasion: Occasion, now: SystemTime) {
        let directory_is_meant = !document.is_faulty("state.directory");
        if let Some(identity) = &self.identity
            && directory_is_meant
            && !document.is_faulty("identity.trust_domain")
        {
            let settings = StoreSettings {
                directory: self.state.directory.clone(),
                trust_domain: identity.trust_domain.clone(),
                origin: self.authority.kind,
            };
            for error in store::judge(&settings, now) {
                document.fault("state.directory", chain(&error).to_string());
            }
        }
        if directory_is_meant && !document.is_faulty("audit.path") {
            self.judge_audit(document);
        }
        self.judge_vault_files(document);
        self.judge_injected(document, occasion, now);
        if let (Some(files), Some(identity)) = (&self.serving, &self.identity)
            && let Err(error) = files.judge(&identity.dns_names, now)
        {
            document.fault("serving.certificate_file", chain(&error).to_string());
        }
        for (place, issuer) in self.issuers.iter().enumerate() {
            let Some(issuer) = issuer else { continue };
            for (key, error) in issuer.source.judge_files(self.development) {
                document.fault(&format!("issuer[{place}].{key}"), chain(&error).to_string());
            }
        }
    }

    /// Only if they sign. A CA that has a state starts without them: it publishes its roots, signs by a key that it has
    /// kept, and waits for files that are good, as it would if it ran.
    fn judge_injected(&self, document: &Document, occasion: Occasion, now: SystemTime) {
        let is_meant = self.authority.kind == Origin::Injected && !document.is_faulty("injected.directory");
        let can_wait = occasion == Occasion::Start && store::holds_state(&self.state.directory);
        if is_meant
            && !can_wait
            && let Err(faults) = injected::read(&self.injected.directory, now, Duration::ZERO)
        {
            document.fault("injected.directory", chain(&faults).to_string());
        }
    }

    /// Only if Vault signs: a section that waits for its turn may lack something yet.
    fn judge_vault(&self, document: &Document) {
        if !self.signs_by_vault() {
            return;
        }
        let Some(vault) = &self.vault else {
            if !document.is_faulty("vault.address") {
                let kind = self.authority.kind.name();
                document.fault("vault.address", format!("is required with `authority.kind = \"{kind}\"`"));
            }
            return;
        };
        if self.authority.kind == Origin::Vault && vault.pki.serving_role.is_none() && self.serving.is_none()
        {
            document.fault(
                "vault.serving_role",
                "or `serving.certificate_file` is required: a role that signs for workloads must not sign for the CA",
            );
        }
    }

    /// Likewise: it may name files that are not there yet.
    fn judge_vault_files(&self, document: &Document) {
        let Some(vault) = self.vault.as_ref().filter(|_| self.signs_by_vault()) else { return };
        for (key, error) in vault.judge_files() {
            document.fault(&format!("vault.{key}"), chain(&error).to_string());
        }
    }

    fn signs_by_vault(&self) -> bool {
        matches!(self.authority.kind, Origin::Vault | Origin::VaultIntermediate)
    }

    fn judge_audit(&self, document: &Document) {
        let writable = self.audit.judge(&self.state).map_err(|error| chain(&error).to_string());
        let lock = || self.audit.judge_lock(&self.state).map_err(|error| chain(&error).to_string());
        if let Err(fault) = writable.and_then(|()| lock()) {
            document.fault("audit.path", fault);
        }
    }

    /// Adds ports that cannot be had to the faults of `document`.
    pub(super) fn judge_ports(&self, document: &Document) {
        for error in self.listen.judge() {
            let path = format!("listen.{}", error.key());
            if !document.is_faulty(&path) {
                document.fault(&path, chain(&error).to_string());
            }
        }
    }

    /// The configuration, unless a fault left a part of it out.
    pub(super) fn checked(self) -> Option<Config> {
        Some(Config {
            listen: self.listen,
            identity: self.identity?,
            state: self.state,
            issuing: self.issuing?,
            authority: self.authority,
            injected: self.injected,
            vault: self.vault,
            serving: self.serving,
            audit: self.audit,
            issuers: self.issuers.into_iter().collect::<Option<_>>()?,
            limits: self.limits,
            telemetry: self.telemetry,
            development: self.development,
        })
    }
}
