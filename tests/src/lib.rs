//! The harness of the tests that run the real programs.
//!
//! They run one after the other: what they show depends on real time. Deadlines are there to end what hangs and are
//! generous: a machine that is busy with other things must fail no test. `make test` builds the programs that they run.

#![allow(clippy::panic, reason = "a test that fails panics")]

pub mod audit;
pub mod command;
pub mod faulty;
pub mod issuing;
pub mod openssl;
pub mod pushed;
pub mod roots_alone;
pub mod secrets;
pub mod traffic;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use signet::stage::{KubernetesPrograms, Programs, leaks};
use tokio::runtime::Builder;
use tokio::time::timeout;

/// Held by the test that runs.
static STAGE_DOOR: Mutex<()> = Mutex::new(());

/// Ends what hangs. Several times what the longest test takes on a machine that has nothing else to do.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs `test` when no other runs, and fails when it fails or hangs. What it started is ended in either case: it is
/// owned by the future that is dropped. Fails, too, if any of its processes has written a secret into its log.
pub fn alone(test: impl AsyncFnOnce(&Programs) -> Result<()>) {
    let _turn = STAGE_DOOR.lock().unwrap_or_else(PoisonError::into_inner);
    let played = programs().and_then(|programs| {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let played = runtime.block_on(async { timeout(LIMIT, test(&programs)).await });
        played.unwrap_or_else(|_| Err(anyhow!("not done within {LIMIT:?}")))
    });
    // Taken in any case: they are of this test, and of no other.
    let leaks = leaks::found();
    let told = if leaks.is_empty() {
        String::new()
    } else {
        format!("a process has written down a secret: {leaks:?}")
    };
    if let Err(error) = played {
        panic!("{told}\n{error:?}");
    }
    assert!(leaks.is_empty(), "{told}");
}

/// Our programs as `make test` builds them, and Envoy as `scripts/envoy` finds or installs it.
fn programs() -> Result<Programs> {
    let test = std::env::current_exe()?;
    // target/debug/deps/real-0123456789abcdef
    let target = test.ancestors().nth(3).context("the test stands in no target directory")?;
    let programs = target.join("programs");
    ensure!(programs.is_dir(), "there is no {}: run `make test` once", programs.display());

    Ok(Programs::in_directory(programs, found_by("scripts/envoy")?))
}

/// The OpenBao that `scripts/openbao` finds or builds, or the Vault that it is told of.
pub fn openbao() -> Result<PathBuf> {
    found_by("scripts/openbao")
}

/// The API server and the etcd that `scripts/kube-apiserver` and `scripts/etcd` find or build.
pub fn kubernetes() -> Result<KubernetesPrograms> {
    Ok(KubernetesPrograms {
        api_server: found_by("scripts/kube-apiserver")?,
        etcd: found_by("scripts/etcd")?,
    })
}

fn found_by(script: &str) -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests stand in no workspace")?;
    let found = Command::new(root.join(script)).output().with_context(|| format!("cannot run {script}"))?;
    ensure!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    Ok(PathBuf::from(String::from_utf8(found.stdout)?.trim()))
}
