//! Processes as they really misbehave.

use std::os::unix::fs::PermissionsExt;

use super::super::Stage;
use super::*;

const SOON: Duration = Duration::from_secs(30);

#[test]
fn nobody_else_can_look_into_a_stage() {
    let stage = Stage::set().unwrap();
    assert_eq!(fs::metadata(stage.directory()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn what_a_program_started_ends_with_it() {
    let stage = Stage::set().unwrap();
    let mut process = stage.start(&shell("sleep 600 & echo $!; wait")).unwrap();
    let grandchild = first_line(&mut process).await;
    let directory = stage.directory().to_owned();
    assert!(is_alive(&grandchild));

    drop(process);
    drop(stage);

    dies(&grandchild).await;
    assert!(!directory.exists());
}

#[tokio::test]
async fn what_a_program_left_behind_ends_when_it_does() {
    let stage = Stage::set().unwrap();
    let mut process = stage.start(&shell("sleep 600 & echo $!")).unwrap();
    let orphan = first_line(&mut process).await;

    process.stop(Signal::TERM, SOON).await.unwrap();

    dies(&orphan).await;
}

#[tokio::test]
async fn a_program_that_ends_before_it_is_ready_is_reported_with_its_log() {
    let stage = Stage::set().unwrap();
    let mut process = stage.start(&shell("echo no such file >&2; exit 3")).unwrap();
    let error = process.until("ready", SOON, async || None::<()>).await.unwrap_err().to_string();
    assert!(error.contains("exit status: 3") && error.contains("no such file"), "{error}");
}

#[tokio::test]
async fn a_program_that_is_never_ready_is_given_up() {
    let stage = Stage::set().unwrap();
    let mut process = stage.start(&shell("echo still thinking; exec sleep 600")).unwrap();
    first_line(&mut process).await;
    let error = process.until("ready", Duration::ZERO, async || None::<()>).await.unwrap_err().to_string();
    assert!(error.contains("not ready within") && error.contains("still thinking"), "{error}");
}

#[tokio::test]
async fn a_program_that_will_not_end_is_killed_after_its_grace() {
    let stage = Stage::set().unwrap();
    let mut process = stage.start(&shell("trap '' TERM; echo up; while :; do sleep 0.1; done")).unwrap();
    first_line(&mut process).await;

    let status = process.stop(Signal::TERM, Duration::from_millis(200)).await.unwrap();

    assert!(!status.success());
    assert_eq!(process.ended().unwrap(), Some(status));
}

fn shell(script: &str) -> Program {
    Program::new("shell", "/bin/sh").argument("-c").argument(script)
}

async fn first_line(process: &mut Process) -> String {
    let log = process.log.clone();
    eventually(|| fs::read_to_string(&log).ok()?.lines().next().map(str::to_owned)).await
}

/// It was alive a moment ago; a signal takes another to arrive.
async fn dies(pid: &str) {
    eventually(|| (!is_alive(pid)).then_some(())).await;
}

async fn eventually<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    poll::until(Instant::now() + SOON, poll::PACE, async || condition()).await.expect("soon")
}

/// Neither gone nor waiting for its parent to notice that it is.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
