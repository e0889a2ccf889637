//! A real `signet-node-agent` with one socket.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;
use signet_client::CaEndpoint;

use super::daemon::Daemon;
use super::{Program, Programs, Stage};

/// A running node agent.
#[derive(Debug)]
pub struct NodeAgent {
    daemon: Daemon,
    socket: PathBuf,
}

impl NodeAgent {
    /// Starts it before that CA; a workload's identity comes from the token of its stream.
    pub fn start(stage: &Stage, programs: &Programs, ca: &CaEndpoint) -> Result<Self> {
        let operations = stage.free_port()?;
        let socket = stage.directory().join("agent").join("agent.sock");
        let configuration = json!({
            "ca": {"address": ca.address, "server_name": ca.server_name, "anchors": ca.anchors},
            "identity": {"trust_domain": ca.trust_domain.as_str()},
            "socket": [{"path": socket, "identity": "stream-token"}],
            "operations": {"listen": format!("127.0.0.1:{operations}")},
            "telemetry": {"log_format": "text"},
        });
        let configuration = stage.write("node-agent.toml", &toml::to_string(&configuration)?)?;
        let program = Program::new("signet-node-agent", programs.node_agent()?)
            .argument("--config")
            .argument(configuration.display().to_string());
        Ok(Self { daemon: Daemon::start(stage, program, operations)?, socket })
    }

    /// The process: to end it, to start it again, to ask it for metrics.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// The port of its operations interface on 127.0.0.1.
    pub fn operations(&self) -> u16 {
        self.daemon.operations()
    }

    /// Where it serves SDS.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}
