//! `make bench`: how near issuance comes to what its cryptography costs, how soon a cold proxy has its
//! certificate, and what the two processes weigh at rest.
//!
//! Every claim is a ratio against a limit measured in the same run, on the same core, just before and after. The
//! servers run on the first core and the load generator on the second, and the servers' CPU time is read from
//! the processes themselves, so that the client's share is in no figure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench ends at the first surprise, and prints"
)]

mod issue;
mod limit;
mod processes;
mod report;
mod rsa_issuer;
mod sds;

use anyhow::Context;
use processes::{Core, Running, pin};
use report::{Figure, Target};
use rsa_issuer::RsaIssuer;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let figures = runtime.block_on(measure())?;
    report::print(&figures);
    let programs = std::env::current_exe()?;
    let target = programs.ancestors().nth(2).context("this program stands in no target directory")?;
    let path = target.join("bench/latest.json");
    report::write(&path, &figures)?;
    println!("\nwritten to {}", path.display());
    Ok(())
}

async fn measure() -> anyhow::Result<Vec<Figure>> {
    let issuer = RsaIssuer::new();
    pin(Core::Servers)?;
    let mut running = Running::start(&issuer).await?;
    let mut figures = vec![
        Figure::of("ca.idle_rss_mb", "MB", running.ca.resident_mb()?).against(Target::Below(20.0)),
        Figure::of("agent.idle_rss_mb", "MB", running.agent.resident_mb()?).against(Target::Below(15.0)),
    ];
    let issuance = issue::measure(&running, &issuer).await?;
    figures.splice(0..0, issuance);
    figures.extend(sds::measure(&running, &issuer).await?);
    running.stop().await?;
    Ok(figures)
}
