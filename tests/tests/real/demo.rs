//! `signet demo` leaves nothing behind, in whatever way it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use signet::stage::{Process, Program, Programs, Stage};
use signet_tests::alone;
use tokio::time::{Instant, sleep};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_demo_that_is_interrupted_leaves_nothing_behind() {
    alone(Duration::from_secs(60), async |programs| {
        let (stage, mut demo) = demo_under_way(programs).await?;
        demo.stop(SOON).await?;
        nothing_is_left(&temporary(&stage)).await
    });
}

#[test]
fn a_demo_that_is_killed_leaves_nothing_behind() {
    alone(Duration::from_secs(60), async |programs| {
        let (stage, mut demo) = demo_under_way(programs).await?;
        demo.kill()?;
        nothing_is_left(&temporary(&stage)).await
    });
}

/// Its two Envoys run: everything else does, too.
async fn demo_under_way(programs: &Programs) -> Result<(Stage, Process)> {
    let stage = Stage::set()?;
    let temporary = temporary(&stage);
    fs::create_dir(&temporary)?;
    let program = Program::new("demo", programs.signet()?)
        .environment("TMPDIR", &temporary)
        .environment("ENVOY", programs.envoy())
        .argument("demo");
    let mut demo = stage.start(&program)?;
    let all = ["signet-ca", "signet-node-agent", "client.json", "server.json"];
    let under_way = async || {
        let running = command_lines_with(&temporary);
        all.iter().all(|name| running.iter().any(|line| line.contains(name))).then_some(())
    };
    demo.until("under way", SOON, under_way).await?;
    Ok((stage, demo))
}

async fn nothing_is_left(temporary: &Path) -> Result<()> {
    let deadline = Instant::now() + SOON;
    loop {
        let running = command_lines_with(temporary);
        let files = fs::read_dir(temporary)?.count();
        if running.is_empty() && files == 0 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{files} directories and {running:?} are left");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Of the processes that were told of a file in this directory.
fn command_lines_with(directory: &Path) -> Vec<String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    let directory = format!("{}/", directory.display());
    lines.filter(|line| line.contains(&directory)).collect()
}

fn temporary(stage: &Stage) -> PathBuf {
    stage.directory().join("tmp")
}
