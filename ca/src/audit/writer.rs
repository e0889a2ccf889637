//! The audit thread: the only one that touches the file.

use std::{
    io,
    sync::{Arc, mpsc},
    time::{Duration, SystemTime},
};

use signet_identity::Clock;
use signet_runtime::telemetry::chain;
use tokio::sync::{oneshot, watch};
use tracing::{error, info};

use super::{AuditUnavailable, Record, file::LogFile};

/// Records that are committed together.
#[derive(Debug)]
pub(super) struct Commit {
    /// Outcomes: kept for later when the write fails.
    pub(super) outcomes: Vec<u8>,
    /// All other lines.
    pub(super) others: Vec<u8>,
    /// How many records both hold.
    pub(super) records: u64,
    /// Told when all of it is durable, or nothing.
    pub(super) done: oneshot::Sender<Result<(), AuditUnavailable>>,
}

/// The state of the audit thread.
pub(super) struct Writer {
    file: LogFile,
    clock: Arc<dyn Clock>,
    /// Written before anything else: what recovery found, and outcomes whose write failed.
    owed: Vec<u8>,
    failing: Option<Failing>,
    state: watch::Sender<Result<(), AuditUnavailable>>,
    writable: metrics::Gauge,
}

struct Failing {
    since: SystemTime,
    refused_records: u64,
}

/// How often an unwritable log is tried when no record comes: an unready CA gets no requests that would.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Commits are joined into one write up to this size.
const MAX_WRITE_BYTES: usize = 1 << 20;

impl Writer {
    /// A writer that owes `owed` to the file, and the channel that shows how it fares.
    pub(super) fn new(
        file: LogFile,
        owed: Vec<u8>,
        clock: Arc<dyn Clock>,
    ) -> (Self, watch::Receiver<Result<(), AuditUnavailable>>) {
        let (state, states) = watch::channel(Ok(()));
        let writable = metrics::gauge!("signet_ca_audit_writable");
        (Self { file, clock, owed, failing: None, state, writable }, states)
    }

    /// Pays what is owed, then starts the thread. It ends when the returned sender is gone.
    pub(super) fn start(mut self) -> io::Result<mpsc::Sender<Commit>> {
        self.commit(Vec::new());
        let (sender, queue) = mpsc::channel();
        std::thread::Builder::new().name("audit".to_owned()).spawn(move || self.run(&queue))?;
        Ok(sender)
    }

    fn run(mut self, queue: &mpsc::Receiver<Commit>) {
        loop {
            let first = if self.failing.is_some() {
                match queue.recv_timeout(RETRY_EVERY) {
                    Ok(first) => Some(first),
                    Err(mpsc::RecvTimeoutError::Timeout) => None,
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                }
            } else {
                match queue.recv() {
                    Ok(first) => Some(first),
                    Err(mpsc::RecvError) => return,
                }
            };
            self.commit(joined(first, queue));
        }
    }

    /// One write for all of `commits` and everything owed.
    fn commit(&mut self, commits: Vec<Commit>) {
        let written = self.write(&commits).map_err(|source| AuditUnavailable::Write {
            path: self.file.path().into(),
            source: Arc::new(source),
        });
        match &written {
            Ok(()) => self.succeeded(),
            Err(unavailable) => self.failed(unavailable, &commits),
        }
        for commit in commits {
            // Nobody waits any more when the serving core was cut off at shutdown.
            let _ = commit.done.send(written.clone());
        }
    }

    fn write(&mut self, commits: &[Commit]) -> io::Result<()> {
        let owed = self.owed.len();
        let written = self.append(commits);
        self.owed.truncate(owed);
        written
    }

    /// Leaves everything that it wrote, or tried to, behind what is owed.
    fn append(&mut self, commits: &[Commit]) -> io::Result<()> {
        let lines = &mut self.owed;
        if let Some(Failing { since, refused_records }) = self.failing {
            Record::Resumed { since, refused_records }.write_to(lines, self.clock.now())?;
        }
        for commit in commits {
            lines.extend_from_slice(&commit.outcomes);
            lines.extend_from_slice(&commit.others);
        }
        self.file.append(lines)
    }

    fn succeeded(&mut self) {
        self.owed.clear();
        self.writable.set(1);
        if let Some(Failing { refused_records, .. }) = self.failing.take() {
            info!(path = %self.file.path().display(), refused_records, "the audit log can be written again");
            self.state.send_modify(|state| *state = Ok(()));
        }
    }

    fn failed(&mut self, unavailable: &AuditUnavailable, commits: &[Commit]) {
        let failing = self.failing.get_or_insert_with(|| {
            error!(
                error = %chain(unavailable),
                "the audit log cannot be written: nothing is issued"
            );
            Failing { since: self.clock.now(), refused_records: 0 }
        });
        for commit in commits {
            failing.refused_records += commit.records;
            self.owed.extend_from_slice(&commit.outcomes);
        }
        self.writable.set(0);
        self.state.send_modify(|state| *state = Err(unavailable.clone()));
    }
}

/// `first` and what else is waiting, up to the size of one write.
fn joined(first: Option<Commit>, queue: &mpsc::Receiver<Commit>) -> Vec<Commit> {
    let mut bytes = 0;
    let more = std::iter::from_fn(|| {
        let next = (bytes < MAX_WRITE_BYTES).then(|| queue.try_recv().ok()).flatten();
        bytes += next.as_ref().map_or(0, |commit| commit.outcomes.len() + commit.others.len());
        next
    });
    first.into_iter().chain(more).collect()
}
