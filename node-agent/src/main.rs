//! `signet-node-agent`: serves, checks its configuration, or looks at Vault.

use std::{
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use signet_backends::vault::Verdict;
use signet_node_agent::{
    config::{CONFIG_VARIABLE, Config},
    operator,
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
    /// Try Vault, or print how to set it up.
    Vault {
        #[command(subcommand)]
        command: VaultCommand,
    },
}

#[derive(Debug, Subcommand)]
enum VaultCommand {
    /// Try the whole path to a workload's certificate, and say what holds and what is missing.
    Check {
        /// A workload's token for Vault; the agent has none of its own.
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
    },
    /// Say what Vault needs for this configuration: policy, role, login.
    Setup {
        /// Print it. Nothing is applied: read it, and apply it yourself.
        #[arg(long, required = true)]
        print: bool,
        /// As commands for the shell, or for Terraform.
        #[arg(long, value_enum, default_value_t = SetupFormat::Shell)]
        format: SetupFormat,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SetupFormat {
    /// Commands for `bao` or `vault`.
    Shell,
    /// Resources of the provider `hashicorp/vault`.
    Terraform,
}

fn main() -> ExitCode {
    let Arguments { config, command } = Arguments::parse();
    let ended = match command {
        Some(Command::Check) => check(config.as_deref()),
        Some(Command::Vault { command }) => vault_command(config.as_deref(), command),
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

fn vault_command(config: Option<&Path>, command: VaultCommand) -> anyhow::Result<()> {
    hardening::keep_memory_private().context("cannot keep the memory of this process private")?;
    let config = Config::load(config)?;
    match command {
        VaultCommand::Check { token_file } => {
            let check = operator::check(&config, &token_file, &SystemClock)?;
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let verdict =
                runtime.block_on(check.run(&mut |finding| eprintln!("signet-node-agent: {finding}")));
            ensure!(verdict < Verdict::Fault, "Vault cannot sign for this workload");
            eprintln!("signet-node-agent: Vault signs for this workload");
        }
        VaultCommand::Setup { print: _, format } => {
            let setup = operator::setup(&config)?;
            let text = match format {
                SetupFormat::Shell => setup.shell(),
                SetupFormat::Terraform => setup.terraform(),
            };
            stdout().write_all(text.as_bytes())?;
        }
    }
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
