//! A real log for tests, and the ways to break and mend what it is written to.

use std::{fs, io, os::unix::fs::symlink, path::PathBuf, sync::Arc, thread, time::Duration};

use serde_json::Value;
use signet_identity::{Clock, ManualClock};
use signet_runtime::telemetry::chain;
use tempfile::TempDir;

use super::{AuditLog, AuditOpenError, AuditSettings, Durability};

/// A minute of them: a thread ends late on a busy machine.
const MOST_ATTEMPTS: u32 = 60_000;
const PAUSE: Duration = Duration::from_millis(1);

/// A log in a directory of its own, at a time that stands still.
pub(crate) struct LogOnDisk {
    pub(crate) directory: TempDir,
    pub(crate) clock: Arc<ManualClock>,
}

impl LogOnDisk {
    pub(crate) fn new() -> Self {
        let start = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        Self { directory: tempfile::tempdir().unwrap(), clock: Arc::new(ManualClock::at(start)) }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("audit.log")
    }

    pub(crate) fn open(&self) -> AuditLog {
        self.open_by(Arc::clone(&self.clock) as _)
    }

    pub(crate) fn open_by(&self, clock: Arc<dyn Clock>) -> AuditLog {
        let settings =
            AuditSettings { path: self.path(), durability: Durability::OperatingSystem, max_waiting: 1000 };
        // The thread of a log that was dropped a moment ago may have it open yet.
        let mut attempts = 1..MOST_ATTEMPTS;
        loop {
            match AuditLog::open(settings.clone(), Arc::clone(&clock)) {
                Err(error) if is_busy(&error) && attempts.next().is_some() => thread::sleep(PAUSE),
                Err(error) => panic!("no log within {MOST_ATTEMPTS} attempts: {}", chain(&error)),
                Ok(log) => return log,
            }
        }
    }

    /// Puts a device that is always full in the log's place.
    pub(crate) fn fill_disk(&self) {
        let _absent = fs::rename(self.path(), self.kept());
        symlink("/dev/full", self.path()).unwrap();
    }

    /// Puts the log back.
    pub(crate) fn free_disk(&self) {
        fs::rename(self.kept(), self.path()).or_else(|_absent| fs::remove_file(self.path())).unwrap();
    }

    fn kept(&self) -> PathBuf {
        self.directory.path().join("audit.log.kept")
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.path()).unwrap();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub(crate) fn events(&self) -> Vec<String> {
        self.lines().iter().map(|line| line["event"].as_str().unwrap().to_owned()).collect()
    }
}

fn is_busy(error: &AuditOpenError) -> bool {
    error.source.kind() == io::ErrorKind::ResourceBusy
}
