//! `make bench`: how near issuance comes to what its cryptography costs, how it behaves under load and in a storm, how
//! soon a cold process or proxy has its certificate, and what the processes weigh.
//!
//! Every claim that can be a ratio is one, against a limit or a peer measured in the same run, on the same core, just
//! before and after. The servers run on the first core and the load generator on the second, and the servers' CPU time
//! is read from the processes themselves, so that the client's share is in no figure. `docs/performance.md` says how
//! each figure is taken.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench ends at the first surprise, and prints"
)]

mod idle;
mod issue;
mod latency;
mod limit;
mod node;
mod overload;
mod parts;
mod plot;
mod processes;
mod push;
mod renewal;
mod report;
mod rsa_issuer;
mod sds;
mod start;
mod storm;
mod two_cores;
mod usage;
mod vault;

use anyhow::Context;
use parts::{Bench, PARTS};

fn main() -> anyhow::Result<()> {
    let programs = std::env::current_exe()?;
    let target = programs.ancestors().nth(2).context("this program stands in no target directory")?;
    let parts = parts::chosen(std::env::args().skip(1).collect())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let figures = runtime.block_on(Bench::new()?.measure(&parts))?;
    println!("\n{}", report::table(&figures));
    if parts.len() == PARTS.len() {
        report::write(&target.join("bench"), &figures)?;
    }
    Ok(())
}
