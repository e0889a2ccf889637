//! A real `signet-node-agent`: one socket for all, and maybe one for a workload whose token it reads.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rustix::process::geteuid;
use serde_json::{Value, json};
use signet_client::CaEndpoint;

use super::daemon::Daemon;
use super::{Program, Programs, Stage};

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
}

impl NodeAgent {
    /// Starts it before that CA. A workload's identity comes from the token of its stream.
    pub fn start(
        stage: &Stage,
        programs: &Programs,
        ca: &CaEndpoint,
        settings: &NodeAgentSettings,
    ) -> Result<Self> {
        let operations = stage.free_port()?;
        let directory = stage.directory().join("agent");
        let (socket, private_socket) = (directory.join("agent.sock"), directory.join("private.sock"));
        let mut sockets = vec![json!({"path": socket, "identity": "stream-token"})];
        sockets.extend(settings.token_file.as_ref().map(|token_file| {
            json!({
                "path": private_socket,
                "identity": "token-file",
                "token_file": token_file,
                "allowed_uids": [geteuid().as_raw()],
            })
        }));
        let configuration = json!({
            "ca": {"address": ca.address, "server_name": ca.server_name, "anchors": ca.anchors},
            "identity": {"trust_domain": ca.trust_domain.as_str()},
            "socket": sockets,
            "limits": settings.streams.map(limits).unwrap_or_else(|| json!({})),
            "operations": {"listen": format!("127.0.0.1:{operations}")},
            "telemetry": {"log_format": "text"},
        });
        let configuration = stage.write("node-agent.toml", &toml::to_string(&configuration)?)?;
        let program = Program::new("signet-node-agent", programs.node_agent()?)
            .argument("--config")
            .argument(configuration.display().to_string());
        Ok(Self { daemon: Daemon::start(stage, program, operations)?, socket, private_socket })
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
