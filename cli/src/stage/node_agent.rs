//! A real `signet-node-agent`: one socket for all, and maybe one for a workload whose token it reads.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use rustix::process::geteuid;
use serde_json::{Value, json};
use signet_client::CaEndpoint;

use super::daemon::{Daemon, trust_domain};
use super::openbao::{VAULT_AUDIENCE, VaultAccess, merge};
use super::{Program, Programs, Stage};

const CONFIGURATION: &str = "node-agent.toml";

/// A running node agent.
#[derive(Debug)]
pub struct NodeAgent {
    daemon: Daemon,
    socket: PathBuf,
    private_socket: PathBuf,
}

/// What an agent is started with, beside what every stage has.
#[derive(Debug, Clone, Default)]
pub struct NodeAgentSettings {
    /// Whence the identity of whoever asks on the private socket, as this user. `None`: there is no such socket.
    pub token_file: Option<PathBuf>,
    /// Streams that one peer may have, on as many connections. `None`: what a pod may have by default.
    pub streams: Option<usize>,
    /// What is asked for. `None`: whatever is given.
    pub leaf_lifetime: Option<Duration>,
}

/// Where an agent's certificates come from.
#[derive(Debug, Clone)]
pub enum CertificateSource {
    /// A CA.
    Ca(CaEndpoint),
    /// Vault, without a CA.
    Vault(VaultAccess),
}

impl From<CaEndpoint> for CertificateSource {
    fn from(endpoint: CaEndpoint) -> Self {
        Self::Ca(endpoint)
    }
}

impl NodeAgent {
    /// Starts it. A workload's identity comes from the token of its stream.
    pub fn start(
        stage: &Stage,
        programs: &Programs,
        source: impl Into<CertificateSource>,
        settings: &NodeAgentSettings,
    ) -> Result<Self> {
        let operations = stage.free_port()?;
        let directory = stage.directory().join("agent");
        let (socket, private_socket) = (directory.join("agent.sock"), directory.join("private.sock"));
        let places = Places { operations, socket: &socket, private_socket: &private_socket };
        let configuration = places.configuration(&source.into(), settings)?;
        let configuration = stage.write(CONFIGURATION, &toml::to_string(&configuration)?)?;
        let program = Program::new("signet-node-agent", programs.node_agent()?)
            .argument("--config")
            .argument(configuration.display().to_string());
        Ok(Self { daemon: Daemon::start(stage, program, operations)?, socket, private_socket })
    }

    /// Another configuration, in force when it is started the next time. Sockets and ports stay.
    pub fn configure(
        &self,
        stage: &Stage,
        source: impl Into<CertificateSource>,
        settings: &NodeAgentSettings,
    ) -> Result<()> {
        let Self { socket, private_socket, .. } = self;
        let places = Places { operations: self.operations(), socket, private_socket };
        let configuration = places.configuration(&source.into(), settings)?;
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

    /// Where it serves SDS to whoever shows a token.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Where it serves SDS to the one workload whose token it reads.
    pub fn private_socket(&self) -> &Path {
        &self.private_socket
    }
}

/// What an agent keeps when it is configured anew.
struct Places<'a> {
    operations: u16,
    socket: &'a Path,
    private_socket: &'a Path,
}

impl Places<'_> {
    fn configuration(&self, source: &CertificateSource, settings: &NodeAgentSettings) -> Result<Value> {
        let mut sockets = vec![json!({"path": self.socket, "identity": "stream-token"})];
        sockets.extend(settings.token_file.as_ref().map(|token_file| {
            json!({
                "path": self.private_socket,
                "identity": "token-file",
                "token_file": token_file,
                "allowed_uids": [geteuid().as_raw()],
            })
        }));
        let mut configuration = json!({
            "identity": {"trust_domain": trust_domain()?.as_str()},
            "socket": sockets,
            "limits": settings.streams.map(limits).unwrap_or_else(|| json!({})),
            "operations": {"listen": format!("127.0.0.1:{}", self.operations)},
            "telemetry": {"log_format": "text"},
        });
        let mut sections = match source {
            CertificateSource::Ca(ca) => {
                json!({"ca": {"address": ca.address, "server_name": ca.server_name, "anchors": ca.anchors}})
            }
            CertificateSource::Vault(access) => {
                let vault = access.clone().with("audience", VAULT_AUDIENCE);
                json!({"ca": {"kind": "vault"}, "vault": vault.section()})
            }
        };
        if let Some(lifetime) = settings.leaf_lifetime {
            let lifetime = humantime::format_duration(lifetime).to_string();
            merge(&mut sections, json!({"certificate": {"lifetime": lifetime}}));
        }
        merge(&mut configuration, sections);
        Ok(configuration)
    }
}

/// Room for one peer with so many streams, whether on one connection or on their own.
fn limits(streams: usize) -> Value {
    json!({
        "streams": streams,
        "streams_per_peer": streams,
        "max_streams": streams.min(MOST_STREAMS_OF_A_CONNECTION),
        "connections_per_peer": streams,
        "max_connections": streams,
    })
}

/// The agent's own bound for `limits.max_streams`.
const MOST_STREAMS_OF_A_CONNECTION: usize = 65_536;
