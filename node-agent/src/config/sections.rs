//! All sections of one document, each as far as it could be understood.

use signet_client::Token;
use signet_runtime::{
    config::Document,
    telemetry::{TelemetryConfig, chain},
};

use super::{
    CaConfig, CertificateConfig, Config, IdentityConfig, LimitsConfig, OperationsConfig, SocketConfig,
    Source, socket,
};
use crate::{socket::judge, workload::token::IdentitySource};

/// What was read. Its faults are with the document.
pub(super) struct Sections {
    identity: Option<IdentityConfig>,
    ca: Option<CaConfig>,
    sockets: Vec<Option<SocketConfig>>,
    certificate: CertificateConfig,
    limits: LimitsConfig,
    operations: OperationsConfig,
    telemetry: TelemetryConfig,
}

impl Sections {
    pub(super) fn read(document: &Document) -> Self {
        let identity = IdentityConfig::read(&document.section("identity"));
        let (ca, vault) = (document.section("ca"), document.section("vault"));
        let ca = identity.as_ref().and_then(|identity| CaConfig::read(&ca, &vault, &identity.trust_domain));
        Self {
            identity,
            ca,
            sockets: socket::read_all(&document.tables("socket")),
            certificate: CertificateConfig::read(&document.section("certificate")),
            limits: LimitsConfig::read(&document.section("limits")),
            operations: OperationsConfig::read(&document.section("operations")),
            telemetry: TelemetryConfig::from_section(&document.section("telemetry")),
        }
    }

    /// Adds what is wrong with the files to the faults of `document`. Files of keys that have a fault already
    /// are not those that were meant.
    pub(super) fn judge_files(&self, document: &Document) {
        match self.ca.as_ref().map(|ca| &ca.source) {
            Some(Source::Ca(endpoint)) if !document.is_faulty("ca.anchors") => {
                if let Err(error) = endpoint.check_anchors() {
                    document.fault("ca.anchors", chain(&error).to_string());
                }
            }
            Some(Source::Vault(vault)) => {
                // The tokens are the workloads': the agent has none of its own.
                for (key, error) in vault.judge_files().into_iter().filter(|(key, _)| *key != "auth.jwt_file")
                {
                    document.fault(&format!("vault.{key}"), chain(&error).to_string());
                }
            }
            Some(Source::Ca(_)) | None => {}
        }
        for (place, socket) in self.sockets.iter().enumerate() {
            let Some(socket) = socket else { continue };
            let path = format!("socket[{place}].path");
            if !document.is_faulty(&path)
                && let Err(error) = judge(&socket.path)
            {
                document.fault(&path, chain(&error).to_string());
            }
            if let IdentitySource::TokenFile(file) = &socket.identity
                && let Err(error) = Token::read(file)
            {
                document.fault(&format!("socket[{place}].token_file"), chain(&error).to_string());
            }
        }
    }

    /// The configuration, unless a fault left a part of it out.
    pub(super) fn checked(self) -> Option<Config> {
        Some(Config {
            identity: self.identity?,
            ca: self.ca?,
            sockets: self.sockets.into_iter().collect::<Option<_>>()?,
            certificate: self.certificate,
            limits: self.limits,
            operations: self.operations,
            telemetry: self.telemetry,
        })
    }
}
