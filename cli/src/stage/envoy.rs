//! A real Envoy: started with a configuration, asked through its admin interface.

mod admin;
mod configuration;
mod secrets;

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

pub use admin::{Admin, ServedCertificate};
pub use configuration::{ClientSidecar, Route, ServerSidecar};
pub use secrets::{SdsVariant, SecretSource, TokenDelivery};

use super::{Process, Program, Programs, Stage};

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: Admin,
}

impl Envoy {
    /// Starts the sidecar of a server under `name`.
    pub fn serve(stage: &Stage, programs: &Programs, name: &str, sidecar: &ServerSidecar) -> Result<Self> {
        Self::start(stage, programs, name, |admin| sidecar.bootstrap(admin))
    }

    /// Starts the sidecar of clients under `name`.
    pub fn call(stage: &Stage, programs: &Programs, name: &str, sidecar: &ClientSidecar) -> Result<Self> {
        Self::start(stage, programs, name, |admin| sidecar.bootstrap(admin))
    }

    /// Starts any Envoy under `name`; `bootstrap` makes its configuration from the port of its admin interface.
    pub fn start(
        stage: &Stage,
        programs: &Programs,
        name: &str,
        bootstrap: impl FnOnce(u16) -> Value,
    ) -> Result<Self> {
        let admin = stage.free_port()?;
        let configuration = serde_json::to_string_pretty(&bootstrap(admin))?;
        let configuration = stage.write(&format!("{name}.json"), &configuration)?;
        // Without hot restart, which shares memory with any other Envoy of this machine.
        let program = Program::new(name, programs.envoy())
            .argument("--config-path")
            .argument(configuration.display().to_string())
            .argument("--disable-hot-restart")
            .argument("--concurrency")
            .argument("1");
        Ok(Self { process: stage.start(&program)?, admin: Admin::on(admin) })
    }

    /// Waits until every listener has its secrets and is bound, which is what Envoy calls ready.
    pub async fn ready(&mut self, limit: Duration) -> Result<()> {
        let Self { process, admin } = self;
        process.until("ready", limit, async || admin.is_ready().await.then_some(())).await
    }

    /// The admin interface.
    pub fn admin(&self) -> Admin {
        self.admin
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
