//! `signet-node-agent`: serves, or checks its configuration.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use clap::{Parser, Subcommand};
use signet_node_agent::{
    config::{CONFIG_VARIABLE, Config},
    process::Process,
};
use signet_runtime::{SystemClock, hardening, open_files, shutdown, telemetry};
use tokio::runtime::Builder;

/// Signet's node agent: gives the proxies of a node their certificates over SDS, and renews them.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file (TOML). Without it, defaults and SIGNET_AGENT_* variables count.
    #[arg(long, global = true, env = CONFIG_VARIABLE, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the configuration and the files that it names, report every fault, and start nothing.
    Check,
}

fn main() -> ExitCode {
    let Arguments { config, command } = Arguments::parse();
    let ended = match command {
        Some(Command::Check) => check(config.as_deref()),
        None => Config::load(config.as_deref()).map_err(Into::into).and_then(serve),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("signet-node-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn check(config: Option<&Path>) -> anyhow::Result<()> {
    Config::check(config)?;
    eprintln!("signet-node-agent: the configuration is good");
    Ok(())
}

fn serve(config: Config) -> anyhow::Result<()> {
    hardening::keep_memory_private().context("cannot keep the memory of this process private")?;
    telemetry::init(config.telemetry.log_format, &config.telemetry.log_filter)?;
    open_files::raise_limit(config.limits.capacity.connections())
        .context("cannot raise the limit of open files")?;
    let measured = telemetry::install_metrics()?;
    let control = Builder::new_current_thread().enable_all().thread_name("control").build()?;
    let ended = control.block_on(shutdown::on_signal(|stop| async {
        Process::start(config, measured, Arc::new(SystemClock), stop).await?.run().await;
        anyhow::Ok(())
    }))?;
    ended.unwrap_or(Ok(()))
}
