//! The audit log: who was given which certificate, by which authority, and who was refused. JSON lines.
//!
//! A record is *durable* before its caller goes on: written to the operating system, or to the disk
//! ([`Durability`]). An intent (`signing`) is durable before the signing key is used, its outcome (`issued`
//! or `failed`) before the certificate leaves, so whatever the moment of a crash, no certificate exists that
//! the log does not know of. Intents that a crash left open are closed as `abandoned` at the next start.
//!
//! Records are committed in groups. The first record of a group has a task of its core wait until the core
//! has run what else is ready; the records that came meanwhile, from any core, are handed to the one audit
//! thread together, which writes all groups that it finds waiting at once. A record that comes alone waits
//! for one turn of its core and one write.
//!
//! When a write fails, everything in it fails, and so does issuing, until a write succeeds: the log tries by
//! itself once a second and with each new record. Outcomes whose write failed are kept and written first, so
//! the log has no gap; a `resumed` record says how long it could not be written.
//!
//! The file is rotated by renaming it: the next write sees that the path leads elsewhere and makes it anew.
//! It is never rotated by copying and cutting, which loses what is written meanwhile. An outcome goes to the
//! file that is current then, so an intent's may stand in the next one. A start closes what is open in the
//! current file and touches no other: an intent that a crash left in a rotated file stays open there, and no
//! outcome before the next `started` means the same as `abandoned`. The file is locked: a second process is
//! refused.
//!
//! Metrics: `signet_ca_audit_records_total`, `signet_ca_audit_failed_records_total`,
//! `signet_ca_audit_waiting_records`, `signet_ca_audit_commit_seconds`, `signet_ca_audit_writable` (1 or 0).

mod file;
mod group;
mod record;
mod recovery;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use signet_identity::Clock;
use tokio::sync::watch;

pub use self::record::{Record, Requester, Signing};
use self::{file::LogFile, group::Group, recovery::Recovery, writer::Writer};

/// When a record counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The operating system has it: survives a crash of this process, not of the machine.
    OperatingSystem,
    /// The disk has it (`fdatasync` once a group): survives a crash of the machine.
    Disk,
}

/// Where the audit goes.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// Appended to; made with mode 0600 if absent. Normally a file, which no second process may open.
    pub path: PathBuf,
    /// What "written" means.
    pub durability: Durability,
    /// Records that may wait to be written, over all cores. One more is refused, unless it is an outcome.
    pub max_waiting: usize,
}

/// The open audit log. Clones share it; when the last one is dropped, the audit thread ends.
#[derive(Clone)]
pub struct AuditLog {
    group: Group,
    state: watch::Receiver<Result<(), AuditUnavailable>>,
}

/// A record is not durable, ordered by what an operator does about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuditUnavailable {
    /// The file cannot be written.
    #[error(
        "cannot write the audit log {}; nothing is issued until it can be written again. Free space on its \
         file system, or mend what the cause names", path.display()
    )]
    Write {
        /// The log.
        path: Arc<Path>,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// More records wait than may: the file is written, but slowly.
    #[error(
        "{max_waiting} audit records wait to be written, as many as may. The log's file system is too slow"
    )]
    Overloaded {
        /// The bound, as configured.
        max_waiting: usize,
    },
    /// The record has no form in JSON: a fault of ours.
    #[error("the audit record cannot be encoded")]
    NotEncoded(#[source] Arc<io::Error>),
    /// The process is stopping.
    #[error("the audit log is closed")]
    Closed,
}

/// The log cannot be opened: the process should not start.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot open the audit log {}. Its directory must exist and be writable for this user, and each CA needs a log \
     of its own", path.display()
)]
pub struct AuditOpenError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Whether the log at `path` is free. Its lock is taken for a moment; nothing is made.
///
/// # Errors
/// Another process writes it, or it cannot be opened.
pub fn judge_lock(path: &Path) -> Result<(), AuditOpenError> {
    file::judge_lock(path).map_err(|source| AuditOpenError { path: path.to_owned(), source })
}

impl AuditLog {
    /// Opens the log, closes what the last run left open, and starts the audit thread.
    ///
    /// A log that can be opened but not written (a full disk) is no error here: [`state`](Self::state) says
    /// so, every record fails, and the log mends itself as described above.
    ///
    /// # Errors
    /// The file cannot be opened or read, another process writes it, or no thread can be started.
    pub fn open(settings: AuditSettings, clock: Arc<dyn Clock>) -> Result<Self, AuditOpenError> {
        let AuditSettings { path, durability, max_waiting } = settings;
        let failed = |source| AuditOpenError { path: path.clone(), source };
        let recovery = Recovery::scan(&path).map_err(failed)?;
        let file = LogFile::open(&path, durability).map_err(failed)?;
        let owed = recovery.lines(clock.now()).map_err(failed)?;
        let (writer, state) = Writer::new(file, owed, Arc::clone(&clock));
        let queue = writer.start().map_err(failed)?;
        Ok(Self { group: Group::new(queue, clock, max_waiting), state })
    }

    /// Returns once `record` is durable. Dropping the future does not take the record back.
    ///
    /// # Errors
    /// The record is not durable; see [`AuditUnavailable`]. A failed outcome is written later, anything else
    /// is not.
    pub async fn record(&self, record: &Record<'_>) -> Result<(), AuditUnavailable> {
        self.group.record(record).await
    }

    /// Whether the last write succeeded, and if not, why. For readiness.
    pub fn state(&self) -> watch::Receiver<Result<(), AuditUnavailable>> {
        self.state.clone()
    }
}
