//! A real `signet-ca` with a state directory of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use signet_client::CaEndpoint;
use signet_identity::SpiffeId;

use super::daemon::{Daemon, trust_domain};
use super::openbao::{VaultAccess, merge};
use super::{Program, Programs, Stage, TokenIssuer};

/// The DNS name that the CA's serving certificate carries here.
const SERVER_NAME: &str = "localhost";

const CONFIGURATION: &str = "ca.toml";

/// A running CA.
#[derive(Debug)]
pub struct Ca {
    daemon: Daemon,
    grpc: u16,
    state: PathBuf,
}

/// What a CA is started with, beside what every stage has.
#[derive(Debug, Clone)]
pub struct CaSettings {
    leaf_lifetime: Duration,
    issuer: String,
    jwks: PathBuf,
    fsync: bool,
    kind: &'static str,
    /// Sections that one kind or another needs. They stay, so that another kind is one line.
    sections: Value,
    overlap: Option<Duration>,
    log_filter: &'static str,
}

/// Who signs for a CA.
#[derive(Debug, Clone)]
pub enum SignedBy {
    /// The CA, by the root that it makes on its first start.
    Itself,
    /// The CA, by the key and certificate in this directory.
    Files(PathBuf),
    /// Vault, each leaf.
    Vault(VaultAccess),
    /// The CA, by an intermediate that Vault signs.
    VaultIntermediate(VaultAccess),
}

impl SignedBy {
    /// `authority.kind`, and the section that it needs.
    fn configuration(&self) -> (&'static str, Value) {
        match self {
            Self::Itself => ("local", json!({})),
            Self::Files(directory) => ("injected", json!({"injected": {"directory": directory}})),
            Self::Vault(access) => ("vault", json!({"vault": access.section()})),
            Self::VaultIntermediate(access) => ("vault-intermediate", json!({"vault": access.section()})),
        }
    }
}

impl CaSettings {
    /// Certificates that live so long, for the holders of tokens of that issuer.
    pub fn new(leaf_lifetime: Duration, issuer: &TokenIssuer) -> Self {
        Self::trusting(leaf_lifetime, issuer.url(), issuer.jwks())
    }

    /// The same for an issuer that the stage knows nothing of but its name and the file with its keys.
    pub fn trusting(leaf_lifetime: Duration, issuer: &str, jwks: &Path) -> Self {
        Self {
            leaf_lifetime,
            issuer: issuer.to_owned(),
            jwks: jwks.to_owned(),
            fsync: false,
            kind: "local",
            sections: json!({}),
            overlap: None,
            log_filter: "info",
        }
    }

    /// The same with somebody else to sign. What the last one needs stays in the configuration.
    #[must_use]
    pub fn signed_by(mut self, signed_by: SignedBy) -> Self {
        let (kind, section) = signed_by.configuration();
        self.kind = kind;
        merge(&mut self.sections, section);
        self
    }

    /// The same with another `telemetry.log_filter`.
    #[must_use]
    pub fn with_log_filter(self, log_filter: &'static str) -> Self {
        Self { log_filter, ..self }
    }

    /// The same with another time from a new root to the first leaf under it; without, as long as leaves live.
    #[must_use]
    pub fn with_overlap(self, overlap: Duration) -> Self {
        Self { overlap: Some(overlap), ..self }
    }

    /// The same with an audit log whose records count when the disk has them.
    #[must_use]
    pub fn with_fsync(self) -> Self {
        Self { fsync: true, ..self }
    }
}

/// What a CA keeps when it is configured anew.
struct Places<'a> {
    grpc: u16,
    operations: u16,
    state: &'a Path,
}

impl CaSettings {
    fn configuration(&self, places: Places<'_>) -> Result<Value> {
        let lifetime = humantime::format_duration(self.leaf_lifetime).to_string();
        let overlap = self.overlap.unwrap_or(self.leaf_lifetime);
        let mut configuration = json!({
            "listen": {
                "grpc": format!("127.0.0.1:{}", places.grpc),
                "operations": format!("127.0.0.1:{}", places.operations),
            },
            "identity": {"trust_domain": trust_domain()?.as_str(), "dns_names": [SERVER_NAME]},
            "state": {"directory": places.state},
            "issuing": {"default_lifetime": lifetime, "max_lifetime": lifetime},
            "authority": {
                "kind": self.kind,
                "overlap": humantime::format_duration(overlap).to_string(),
            },
            "audit": {"fsync": self.fsync},
            "issuer": [{"url": self.issuer, "jwks_file": self.jwks, "leeway": "0s"}],
            "telemetry": {"log_format": "text", "log_filter": self.log_filter},
        });
        merge(&mut configuration, self.sections.clone());
        Ok(configuration)
    }
}

impl Ca {
    /// Starts it, with `--development`, and grants no leeway to tokens: else one of 5 s would live for 65.
    pub fn start(stage: &Stage, programs: &Programs, settings: &CaSettings) -> Result<Self> {
        let (grpc, operations) = (stage.free_port()?, stage.free_port()?);
        let state = stage.directory().join("ca");
        let configuration = settings.configuration(Places { grpc, operations, state: &state })?;
        let configuration = stage.write(CONFIGURATION, &toml::to_string(&configuration)?)?;
        let program = Program::new("signet-ca", programs.ca()?)
            .argument("--development")
            .argument("--config")
            .argument(configuration.display().to_string());
        Ok(Self { daemon: Daemon::start(stage, program, operations)?, grpc, state })
    }

    /// Another configuration, in force when it is started the next time. Ports and state stay.
    pub fn configure(&self, stage: &Stage, settings: &CaSettings) -> Result<()> {
        let places = Places { grpc: self.grpc, operations: self.operations(), state: &self.state };
        let configuration = settings.configuration(places)?;
        stage.write(CONFIGURATION, &toml::to_string(&configuration)?).map(drop)
    }

    /// The process: to end it, to start it again, to ask it for metrics.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// The port of its operations interface on 127.0.0.1.
    pub fn operations(&self) -> u16 {
        self.daemon.operations()
    }

    /// The port of the certificate service on 127.0.0.1.
    pub fn grpc(&self) -> u16 {
        self.grpc
    }

    /// The state directory.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The trust bundle, as it exports it.
    pub fn anchors(&self) -> PathBuf {
        self.state.join("root-cert.pem")
    }

    /// How clients find it and know it.
    pub fn endpoint(&self) -> Result<CaEndpoint> {
        let trust_domain = trust_domain()?;
        Ok(CaEndpoint {
            address: format!("127.0.0.1:{}", self.grpc),
            server_name: SERVER_NAME.to_owned(),
            anchors: self.anchors(),
            spiffe_id: Some(SpiffeId::certificate_authority(&trust_domain)),
            trust_domain,
            cluster_id: None,
        })
    }

    /// The audit log.
    pub fn audit_log(&self) -> PathBuf {
        self.state.join("audit.jsonl")
    }
}
