//! A real `signet-ca` with a state directory of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use signet_client::CaEndpoint;
use signet_identity::SpiffeId;

use super::daemon::{Daemon, trust_domain};
use super::{Program, Programs, Stage, TokenIssuer};

/// The DNS name that the CA's serving certificate carries here.
const SERVER_NAME: &str = "localhost";

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
}

impl CaSettings {
    /// Certificates that live so long, for the holders of tokens of that issuer.
    pub fn new(leaf_lifetime: Duration, issuer: &TokenIssuer) -> Self {
        Self::trusting(leaf_lifetime, issuer.url(), issuer.jwks())
    }

    /// The same for an issuer that the stage knows nothing of but its name and the file with its keys.
    pub fn trusting(leaf_lifetime: Duration, issuer: &str, jwks: &Path) -> Self {
        Self { leaf_lifetime, issuer: issuer.to_owned(), jwks: jwks.to_owned(), fsync: false }
    }

    /// The same with an audit log whose records count when the disk has them.
    #[must_use]
    pub fn with_fsync(self) -> Self {
        Self { fsync: true, ..self }
    }
}

impl Ca {
    /// Starts it, with `--development`, and grants no leeway to tokens: else one of 5 s would live for 65.
    pub fn start(stage: &Stage, programs: &Programs, settings: &CaSettings) -> Result<Self> {
        let (grpc, operations) = (stage.free_port()?, stage.free_port()?);
        let state = stage.directory().join("ca");
        let lifetime = humantime::format_duration(settings.leaf_lifetime).to_string();
        let configuration = json!({
            "listen": {"grpc": format!("127.0.0.1:{grpc}"), "operations": format!("127.0.0.1:{operations}")},
            "identity": {"trust_domain": trust_domain()?.as_str(), "dns_names": [SERVER_NAME]},
            "state": {"directory": state},
            "issuing": {"default_lifetime": lifetime, "max_lifetime": lifetime},
            "audit": {"fsync": settings.fsync},
            "issuer": [{"url": settings.issuer, "jwks_file": settings.jwks, "leeway": "0s"}],
            "telemetry": {"log_format": "text"},
        });
        let configuration = stage.write("ca.toml", &toml::to_string(&configuration)?)?;
        let program = Program::new("signet-ca", programs.ca()?)
            .argument("--development")
            .argument("--config")
            .argument(configuration.display().to_string());
        Ok(Self { daemon: Daemon::start(stage, program, operations)?, grpc, state })
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
