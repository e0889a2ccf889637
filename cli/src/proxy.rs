//! `signet proxy secrets`: what an Envoy makes of the secrets that it was given.

mod dump;
mod standing;
mod statistics;

use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use signet_identity::Clock;
use signet_runtime::SystemClock;
use tokio::net::lookup_host;

use crate::outcome::{Outcome, Usage};
use crate::output::Console;
use crate::stage::envoy::Admin;
use crate::task;
use dump::Dump;
use standing::{Answer, InUse};
use statistics::Statistics;

/// What can be asked of a proxy.
#[derive(Debug, Subcommand)]
pub(crate) enum ProxyCommand {
    /// Show the secrets of an Envoy: served, rejected, waited for, expired
    #[command(after_help = EXAMPLES)]
    Secrets(Secrets),
}

/// Which Envoy.
#[derive(Debug, Args)]
pub(crate) struct Secrets {
    /// Its admin interface, as HOST:PORT or a URL; Istio's is on port 15000
    #[arg(long, value_name = "ADDRESS", default_value = "http://127.0.0.1:9901")]
    admin: String,
}

const EXAMPLES: &str = "\
Examples:
  signet proxy secrets --admin http://127.0.0.1:9901
  kubectl port-forward deploy/orders 15000; signet proxy secrets --admin localhost:15000 --output json

Envoy's config_dump shows what was pushed last, even when Envoy has rejected it: that is told by its statistics and by
/certs, which shows what serves. Exit code 0: all secrets are served; 1: one is rejected, waited for or expired; 3: no
Envoy answered there.";

impl ProxyCommand {
    /// Does it.
    pub(crate) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        let Self::Secrets(secrets) = self;
        let answer = task::block_on(|stop| async move {
            stop.run_until_cancelled(secrets.look()).await.unwrap_or_else(|| Err(anyhow!("interrupted")))
        })?;
        console.answer(&answer)?;
        Ok(answer.held().into())
    }
}

impl Secrets {
    async fn look(&self) -> Result<Answer> {
        let address = self.address().await?;
        let admin = Admin::at(address);
        let refused =
            || format!("no Envoy at {address}: give its admin address with --admin (Istio's is port 15000)");
        let is_none =
            || format!("what answers at {address} is no Envoy's admin interface: give another with --admin");
        let certificates = page(admin, "/certs").await.with_context(refused)?;
        let in_use = InUse::read(&certificates).with_context(is_none)?;
        let active = secrets(admin, "dynamic_active_secrets").await.with_context(is_none)?;
        let warming = secrets(admin, "dynamic_warming_secrets").await.with_context(is_none)?;
        let statistics = Statistics::read(&page(admin, "/stats?filter=%5Esds%5C.").await?);
        Ok(Answer::new(&active, &warming, in_use, &statistics, SystemClock.now()))
    }

    async fn address(&self) -> Result<SocketAddr> {
        let host = self.admin.strip_prefix("http://").unwrap_or(&self.admin).trim_end_matches('/');
        if host.contains('/') {
            return Err(
                Usage(format!("--admin `{}` is no address: give e.g. 127.0.0.1:9901", self.admin)).into()
            );
        }
        let found = lookup_host(host).await.map(|mut all| all.next());
        let found = found
            .with_context(|| format!("--admin `{}` cannot be found: give e.g. 127.0.0.1:9901", self.admin))?;
        found.with_context(|| format!("--admin `{}` has no address", self.admin))
    }
}

async fn page(admin: Admin, path: &str) -> Result<String> {
    let answer = admin.page(path).await?;
    if !answer.status.is_success() {
        bail!("{path} is answered with {}", answer.status);
    }
    Ok(answer.body)
}

/// Envoy says 404 of a kind that it has none of.
async fn secrets(admin: Admin, kind: &str) -> Result<Vec<Dump>> {
    let answer = admin.page(&format!("/config_dump?resource={kind}")).await?;
    if answer.status == hyper::StatusCode::NOT_FOUND {
        return Ok(vec![]);
    }
    dump::read(&answer.body)
}
