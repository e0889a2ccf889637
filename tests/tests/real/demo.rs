//! `signet demo` leaves nothing behind and sums up, in whatever way it ends.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use signet::stage::{Process, Program, Programs, Stage, poll};
use signet_tests::alone;
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_demo_that_is_interrupted_leaves_nothing_behind() {
    alone(async |programs| {
        for signal in [Signal::INT, Signal::TERM] {
            let (stage, mut demo) = demo_under_way(programs).await?;
            demo.stop(signal, SOON).await?;
            let said = demo.log()?;
            ensure!(said.contains("Interrupted"), "{signal:?} did not reach it:\n{said}");
            ensure!(said.lines().next_back().is_some_and(|sum| sum.ends_with(" failed")), "no sum:\n{said}");
            nothing_is_left(&temporary(&stage)).await?;
        }
        Ok(())
    });
}

#[test]
fn a_demo_that_is_killed_leaves_nothing_behind() {
    alone(async |programs| {
        let (stage, mut demo) = demo_under_way(programs).await?;
        demo.kill()?;
        nothing_is_left(&temporary(&stage)).await
    });
}

#[test]
fn a_demo_that_cannot_set_its_stage_says_why_and_sums_up() {
    alone(async |programs| {
        let stage = Stage::set()?;
        let no_envoy = stage.write("envoy", "#!/bin/sh\necho this is no Envoy; exit 1\n")?;
        fs::set_permissions(&no_envoy, Permissions::from_mode(0o755))?;
        let mut demo = start(&stage, programs, &no_envoy)?;
        let ended = async || demo.ended().ok().flatten();
        let status = poll::until(Instant::now() + SOON, poll::PACE, ended).await.context("it goes on")?;
        let said = demo.log()?;
        ensure!(!status.success() && said.contains("this is no Envoy"), "{status}: {said}");
        ensure!(said.ends_with("\n0 passed, 1 failed\n"), "{said}");
        nothing_is_left(&temporary(&stage)).await
    });
}

/// It has begun to show something: all that it needs for that runs, and its guard knows of it.
async fn demo_under_way(programs: &Programs) -> Result<(Stage, Process)> {
    let stage = Stage::set()?;
    let mut demo = start(&stage, programs, programs.envoy())?;
    let log = stage.directory().join("demo.log");
    let shows = async || fs::read_to_string(&log).is_ok_and(|log| log.contains("\n1. ")).then_some(());
    demo.until("under way", SOON, shows).await?;
    let running = command_lines_with(&temporary(&stage));
    for name in ["signet-ca", "signet-node-agent", "client.json", "server.json"] {
        ensure!(running.iter().any(|line| line.contains(name)), "no {name} among {running:?}");
    }
    Ok((stage, demo))
}

fn start(stage: &Stage, programs: &Programs, envoy: &Path) -> Result<Process> {
    let temporary = temporary(stage);
    fs::create_dir(&temporary)?;
    let program = Program::new("demo", programs.signet()?)
        .environment("TMPDIR", &temporary)
        .environment("ENVOY", envoy)
        .argument("demo");
    stage.start(&program)
}

async fn nothing_is_left(temporary: &Path) -> Result<()> {
    let left = || anyhow::Ok((command_lines_with(temporary), fs::read_dir(temporary)?.count()));
    let is_gone =
        async || left().is_ok_and(|(running, files)| running.is_empty() && files == 0).then_some(());
    let gone = poll::until(Instant::now() + SOON, poll::PACE, is_gone).await;
    ensure!(gone.is_some(), "{:?} are left", left()?);
    Ok(())
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
