//! What the processes weigh when nobody asks anything of them.

use anyhow::Result;

use crate::{
    parts::Bench,
    processes::Running,
    report::{Figure, Target},
};

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let running = Running::start(bench).await?;
    Ok(vec![
        Figure::of("ca.idle_rss_mb", "MB", running.ca.resident_mb()?).against(Target::Below(20.0)),
        Figure::of("agent.idle_rss_mb", "MB", running.agent.resident_mb()?).against(Target::Below(15.0)),
    ])
}
