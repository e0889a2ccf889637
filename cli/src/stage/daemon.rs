//! One of our own processes: it is ready when its operations port says so, and it can be ended and started again.

use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use signet_identity::{SpiffeIdError, TrustDomain};

use super::{Process, Program, Stage, http};

/// A process of ours with its operations port.
#[derive(Debug)]
pub struct Daemon {
    program: Program,
    process: Process,
    operations: u16,
}

impl Daemon {
    /// Starts `program`, whose operations port on 127.0.0.1 is `operations`.
    pub(super) fn start(stage: &Stage, program: Program, operations: u16) -> Result<Self> {
        let process = stage.start(&program)?;
        Ok(Self { program, process, operations })
    }

    /// Waits until `/readyz` says yes.
    pub async fn ready(&mut self, limit: Duration) -> Result<()> {
        let operations = self.operations;
        let is_ready =
            async || http::get(operations, "/readyz").await.is_ok_and(|answer| answer.status.is_success());
        self.process.until("ready", limit, async || is_ready().await.then_some(())).await
    }

    /// SIGTERM, and SIGKILL after `grace`.
    pub async fn stop(&mut self, grace: Duration) -> Result<ExitStatus> {
        self.process.stop(Signal::TERM, grace).await
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.process.kill()
    }

    /// Starts it again, with the same configuration, after it has ended.
    pub fn start_again(&mut self, stage: &Stage) -> Result<()> {
        self.process.kill()?;
        self.process = stage.start(&self.program)?;
        Ok(())
    }

    /// The port of the operations interface on 127.0.0.1.
    pub fn operations(&self) -> u16 {
        self.operations
    }

    /// The process that runs now.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The sum of a metric over all its labels, or its value where `name` includes them, as `/metrics` tells it; 0 for
    /// one that nothing has touched yet.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let answer = http::get(self.operations, "/metrics").await?;
        let samples = answer.body.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with([' ', '{']).then(|| rest.rsplit(' ').next()).flatten()
        });
        samples.map(|value| value.parse::<f64>().with_context(|| format!("{name} is {value:?}"))).sum()
    }
}

/// The trust domain of every stage.
pub fn trust_domain() -> Result<TrustDomain, SpiffeIdError> {
    "cluster.local".parse()
}
