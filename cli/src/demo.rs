//! `signet demo`: the real programs on this machine, each promise with its proof beneath it.

mod caller;
mod impostor;
mod load;
mod ways;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::outcome::Outcome;
use crate::output::{Console, Report};
use crate::stage::envoy::SdsVariant;
use crate::stage::{Mesh, Plan, Programs, TokenPath, Workloads};
use crate::task;

/// What the demo needs to know.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The Envoy to run; `make demo` installs one
    #[arg(long, env = "ENVOY", value_name = "PATH")]
    envoy: PathBuf,
    /// Leave everything running until Ctrl-C, and print the URLs
    #[arg(long, conflicts_with = "vault")]
    keep: bool,
    /// Show the ways to sign by another authority instead: with this OpenBao or Vault, which `make demo-vault` builds
    #[arg(long, value_name = "PATH")]
    vault: Option<PathBuf>,
}

/// Certificates that are renewed several times while one watches, and tokens that are dead long before each renewal,
/// as in production (there 24 h and 1 h).
const PLAN: Plan = Plan {
    leaf_lifetime: Duration::from_secs(30),
    token_lifetime: Duration::from_secs(5),
    new_token_every: Some(Duration::from_secs(1)),
    frontend_token: TokenPath::Volume,
    variant: SdsVariant::StateOfTheWorld,
};

/// Examples for the command's help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  make demo
  make demo ARGS=--keep
  make demo-vault
  signet demo --envoy /usr/local/bin/envoy

It runs signet-ca and signet-node-agent from beside this program, and two Envoys, on free ports of
127.0.0.1 and in a private directory; nothing of it is left when it ends, however it ends.";

impl Demo {
    /// Plays the demo. Success means that every promise held.
    pub(crate) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        task::block_on(|stop| self.run_until(stop, console.report())).map(Outcome::from)
    }

    /// Dropping the mesh, at the end or half-way, ends and removes all that was started. A sum comes in any case.
    async fn run_until(self, stop: CancellationToken, mut report: Report<'_>) -> Result<bool> {
        let began = Instant::now();
        let played = stop.run_until_cancelled(self.play(&mut report)).await;
        let (mesh, broken) = match played.unwrap_or_else(|| Err(anyhow!("Interrupted"))) {
            Ok(mesh) => (Some(mesh), "A promise was broken. With --keep everything stays, to look around."),
            Err(error) => {
                report.shown(Err(error))?;
                (None, "It did not come to its end. Nothing is left behind.")
            }
        };
        let held = format!("Every promise held. It took {} s.", began.elapsed().as_secs());
        let all_held = report.verdict(&held, broken)?;
        if let (true, Some(mesh)) = (self.keep, &mesh) {
            invite(mesh, &mut report)?;
            stop.cancelled().await;
            let directory = mesh.stage.directory().display().to_string();
            report
                .title(&format!("\nEnding both Envoys, the agent and the CA, and removing {directory}."))?;
        }
        Ok(all_held)
    }

    async fn play(&self, report: &mut Report<'_>) -> Result<Mesh> {
        // It runs in a directory of its own: a relative path is one from here.
        let envoy = program("Envoy", &self.envoy)?;
        let programs = Programs::beside_this_one(envoy)?;
        match &self.vault {
            Some(vault) => Box::pin(ways::play(&programs, &program("OpenBao", vault)?, report)).await,
            None => self.promises(&programs, report).await,
        }
    }

    async fn promises(&self, programs: &Programs, report: &mut Report<'_>) -> Result<Mesh> {
        report.title("Signet: a workload's token becomes a certificate in a real Envoy, and stays fresh")?;
        let mut mesh = Mesh::raise(programs, &PLAN).await.context("the stage could not be set")?;
        introduce(&mesh, report)?;

        report.promise("A request goes through mutual TLS, and the application learns who called")?;
        report.shown(caller::is_known(&mesh).await)?;
        report.promise("Plaintext is refused")?;
        report.shown(caller::needs_tls(&mesh).await)?;
        report.promise("A caller with another identity is refused")?;
        report.shown(caller::needs_the_right_identity(&mesh).await)?;
        if let Err(error) = load::play(&mut mesh, report).await {
            report.shown(Err(error))?;
        }
        report.promise("A CSR for somebody else's name is refused, and audited")?;
        report.shown(impostor::is_refused(&mesh).await)?;
        Ok(mesh)
    }
}

fn program(name: &str, path: &Path) -> Result<PathBuf> {
    path.canonicalize().with_context(|| format!("there is no {name} at {}", path.display()))
}

fn introduce(mesh: &Mesh, report: &mut Report<'_>) -> io::Result<()> {
    let Workloads { orders, frontend, intruder } = &mesh.workloads;
    report.line("frontend ─▸ Envoy ══ mTLS ══▸ Envoy ─▸ orders      both Envoys ask the node agent, the agent asks the CA")?;
    for workload in [frontend, orders, intruder] {
        report.line(&format!("{:<8} is {}", workload.name(), workload.identity()))?;
    }
    report.line(&format!(
        "certificates live {} s and tokens {} s, without leeway: each renewal needs a token that is not made yet",
        PLAN.leaf_lifetime.as_secs(),
        PLAN.token_lifetime.as_secs()
    ))
}

fn invite(mesh: &Mesh, report: &mut Report<'_>) -> io::Result<()> {
    report.title("\nEverything is still running. Ctrl-C ends it.")?;
    for (what, port, path) in [
        ("through mTLS", mesh.doors.frontend, "/"),
        ("the intruder's way", mesh.doors.intruder, "/"),
        ("client Envoy", mesh.client.admin().port(), "/certs"),
        ("server Envoy", mesh.server.admin().port(), "/certs"),
        ("signet-ca", mesh.ca.operations(), "/metrics"),
        ("signet-node-agent", mesh.agent.operations(), "/metrics"),
    ] {
        report.line(&format!("{what:<20} http://127.0.0.1:{port}{path}"))?;
    }
    report.line(&format!("{:<20} {}", "configuration, logs", mesh.stage.directory().display()))?;
    report.line(&format!("{:<20} {}", "audit log", mesh.ca.audit_log().display()))
}
