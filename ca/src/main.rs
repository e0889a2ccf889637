//! `signet-ca`: serves, checks its configuration, or looks at Vault.

use std::{
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use mimalloc::MiMalloc;
use signet_backends::vault::Verdict;
use signet_ca::{
    authn::DevelopmentKeys,
    config::{CONFIG_VARIABLE, Config, DEVELOPMENT_VARIABLE},
    health::DEVELOPMENT_NOTICE,
    process::Process,
    vault,
};
use signet_runtime::{SystemClock, hardening, open_files, shutdown, telemetry};
use tokio::runtime::Builder;

/// An issuance makes and drops some hundred small things. With this allocator it costs a twelfth of its CPU
/// less than with glibc's (`make bench`); the CA at rest stays below 10 MB.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Signet's certificate authority: proves workloads by their service-account tokens and issues X.509-SVIDs.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file (TOML). Without it, defaults and SIGNET_CA_* variables count.
    #[arg(long, global = true, env = CONFIG_VARIABLE, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Accept tokens of a development issuer, and issuer keys without TLS. Never for real workloads.
    #[arg(long, global = true, env = DEVELOPMENT_VARIABLE)]
    development: bool,
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
    /// Try the whole path to a signature, and say what holds and what is missing. It logs in, which is a use of an
    /// AppRole's secret id.
    Check,
    /// Say what Vault needs for this configuration: policy, roles, login.
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
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("signet-ca: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { config, development, command } = arguments;
    let development = if development { DevelopmentKeys::Accepted } else { DevelopmentKeys::Refused };
    hardening::keep_memory_private().context("cannot keep the memory of this process private")?;
    match command {
        Some(Command::Check) => check(config.as_deref(), development),
        Some(Command::Vault { command }) => {
            vault_command(&Config::read(config.as_deref(), development)?, command)
        }
        None => serve(Config::load(config.as_deref(), development, &SystemClock)?),
    }
}

fn check(config: Option<&Path>, development: DevelopmentKeys) -> anyhow::Result<()> {
    let notices = Config::check(config, development, &SystemClock)?;
    notices.iter().for_each(|notice| eprintln!("signet-ca: notice: {notice}"));
    eprintln!("signet-ca: the configuration is good");
    Ok(())
}

fn vault_command(config: &Config, command: VaultCommand) -> anyhow::Result<()> {
    match command {
        VaultCommand::Check => {
            let check = vault::check(config, &SystemClock).context(NO_VAULT)?;
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let verdict = runtime.block_on(check.run(&mut |finding| eprintln!("signet-ca: {finding}")));
            ensure!(verdict < Verdict::Fault, "Vault cannot sign for this configuration");
            eprintln!("signet-ca: Vault signs for this configuration");
        }
        VaultCommand::Setup { print: _, format } => {
            let setup = vault::setup(config).context(NO_VAULT)?;
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
    telemetry::init(config.telemetry.log_format, &config.telemetry.log_filter)?;
    open_files::raise_limit(config.limits.capacity.connections())
        .context("cannot raise the limit of open files")?;
    let measured = telemetry::install_metrics()?;
    if config.development == DevelopmentKeys::Accepted {
        tracing::warn!("{DEVELOPMENT_NOTICE}");
    }
    config.notices().iter().for_each(|notice| tracing::warn!("{notice}"));
    let control = Builder::new_current_thread().enable_all().thread_name("control").build()?;
    let ended = control.block_on(shutdown::on_signal(|stop| async move {
        match Process::start(config, measured, Arc::new(SystemClock), stop.clone()).await {
            Ok(process) => process.run().await,
            // It waits for whoever is to sign first, and a signal meanwhile is no failure.
            Err(_) if stop.is_cancelled() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }))?;
    ended.unwrap_or(Ok(()))
}

const NO_VAULT: &str = "`[vault]` is not configured: it needs `address` and `auth.method`";
