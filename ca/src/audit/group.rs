//! Group commit: the records that come while a core runs what is ready become one write and one wake-up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use signet_identity::Clock;
use tokio::{
    sync::{SetOnce, oneshot},
    task::yield_now,
    time::Instant,
};
use tokio_util::task::TaskTracker;

use super::{AuditUnavailable, Record, writer::Commit};

/// Where records become groups. Clones share it.
#[derive(Clone)]
pub(super) struct Group {
    shared: Arc<Shared>,
}

struct Shared {
    queue: mpsc::Sender<Commit>,
    clock: Arc<dyn Clock>,
    max_waiting: usize,
    pending: Mutex<Pending>,
    leaders: TaskTracker,
    metrics: Metrics,
}

#[derive(Default)]
struct Pending {
    /// The group that still takes records.
    open: Option<Lines>,
    /// Records of this and earlier groups that are not durable yet.
    waiting: usize,
}

/// A group on its way. What becomes of it, everybody in it learns at once.
#[derive(Default)]
struct Lines {
    outcomes: Vec<u8>,
    others: Vec<u8>,
    records: usize,
    settled: Arc<SetOnce<Result<(), AuditUnavailable>>>,
}

struct Metrics {
    records: metrics::Counter,
    failed_records: metrics::Counter,
    waiting_records: metrics::Gauge,
    commit_seconds: metrics::Histogram,
}

impl Group {
    pub(super) fn new(queue: mpsc::Sender<Commit>, clock: Arc<dyn Clock>, max_waiting: usize) -> Self {
        let (pending, leaders) = (Mutex::default(), TaskTracker::new());
        let metrics = Metrics {
            records: metrics::counter!("signet_ca_audit_records_total"),
            failed_records: metrics::counter!("signet_ca_audit_failed_records_total"),
            waiting_records: metrics::gauge!("signet_ca_audit_waiting_records"),
            commit_seconds: metrics::histogram!("signet_ca_audit_commit_seconds"),
        };
        Self { shared: Arc::new(Shared { queue, clock, max_waiting, pending, leaders, metrics }) }
    }

    /// Returns once `record` is durable.
    pub(super) async fn record(&self, record: &Record<'_>) -> Result<(), AuditUnavailable> {
        let settled = self.join(record)?;
        settled.wait().await.clone()
    }

    /// Adds `record` to the open group. The first in a group has a task lead it. There is always room for an
    /// outcome: its intent is durable already, and must not stay open.
    fn join(
        &self,
        record: &Record<'_>,
    ) -> Result<Arc<SetOnce<Result<(), AuditUnavailable>>>, AuditUnavailable> {
        let mut line = Vec::with_capacity(TYPICAL_LINE_BYTES);
        let encoded = record.write_to(&mut line, self.shared.clock.now());
        encoded.map_err(|source| AuditUnavailable::NotEncoded(Arc::new(source)))?;
        let mut pending = self.shared.pending();
        if !record.is_outcome() && pending.waiting >= self.shared.max_waiting {
            return Err(AuditUnavailable::Overloaded { max_waiting: self.shared.max_waiting });
        }
        pending.waiting += 1;
        let is_first = pending.open.is_none();
        let lines = pending.open.get_or_insert_default();
        lines.records += 1;
        if record.is_outcome() { &mut lines.outcomes } else { &mut lines.others }.extend_from_slice(&line);
        let settled = Arc::clone(&lines.settled);
        drop(pending);
        if is_first {
            let leader =
                Leader { shared: Arc::clone(&self.shared), settled: Arc::clone(&settled), records: 0 };
            self.shared.leaders.spawn(leader.lead());
        }
        Ok(settled)
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees one group through. Should its runtime end first, dropping it tells the group so.
struct Leader {
    shared: Arc<Shared>,
    settled: Arc<SetOnce<Result<(), AuditUnavailable>>>,
    /// Of the group, from when it is closed until it is settled.
    records: usize,
}

impl Leader {
    async fn lead(mut self) {
        // Resumes when this core has run what is ready: until then the group grows.
        yield_now().await;
        let began = Instant::now();
        let Some(lines) = self.close() else { return };
        let result = self.commit(lines).await;
        self.shared.metrics.commit_seconds.record(began.elapsed());
        self.settle(result);
    }

    /// Takes the group out of reach of further records.
    fn close(&mut self) -> Option<Lines> {
        let mut pending = self.shared.pending();
        let lines = pending.open.take_if(|open| Arc::ptr_eq(&open.settled, &self.settled))?;
        self.records = lines.records;
        self.shared.metrics.waiting_records.set(pending.waiting as f64);
        Some(lines)
    }

    async fn commit(&self, lines: Lines) -> Result<(), AuditUnavailable> {
        let Lines { outcomes, others, records, .. } = lines;
        let (done, committed) = oneshot::channel();
        let commit = Commit { outcomes, others, records: records as u64, done };
        self.shared.queue.send(commit).map_err(|_ended| AuditUnavailable::Closed)?;
        committed.await.unwrap_or(Err(AuditUnavailable::Closed))
    }

    /// Makes room, then tells the group: who is told may record again at once. Only the first time counts.
    fn settle(&mut self, result: Result<(), AuditUnavailable>) {
        let records = std::mem::take(&mut self.records);
        let metrics = &self.shared.metrics;
        let mut pending = self.shared.pending();
        pending.waiting -= records;
        metrics.waiting_records.set(pending.waiting as f64);
        drop(pending);
        let counter = if result.is_ok() { &metrics.records } else { &metrics.failed_records };
        counter.increment(records as u64);
        let _settled_before = self.settled.set(result);
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.close();
        self.settle(Err(AuditUnavailable::Closed));
    }
}

/// An intent of a pod has about so many.
const TYPICAL_LINE_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::Receiver,
        task::{Context, Wake},
        time::{Duration, SystemTime},
    };

    use signet_identity::ManualClock;
    use tokio::{task::JoinSet, time::timeout};

    use super::*;

    const RECORD: Record<'_> = Record::Abandoned { request_id: "r" };
    const OUTCOME: Record<'_> = Record::Failed { request_id: "r", reason: "x" };

    fn group(max_waiting: usize) -> (Group, Receiver<Commit>) {
        let (queue, commits) = mpsc::channel();
        (Group::new(queue, Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH)), max_waiting), commits)
    }

    fn recording(group: &Group, count: usize) -> JoinSet<Result<(), AuditUnavailable>> {
        (0..count).map(|_| group.clone()).map(|group| async move { group.record(&RECORD).await }).collect()
    }

    /// Lets every task run until nothing is ready.
    async fn settle() {
        for _ in 0..8 {
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn records_of_one_turn_of_a_core_are_one_commit() {
        let (group, commits) = group(100);
        let records = recording(&group, 60);
        settle().await;

        let commit = commits.try_recv().unwrap();
        assert_eq!((commit.records, commits.try_iter().count()), (60, 0));
        assert_eq!(commit.others.split(|byte| *byte == b'\n').count(), 60 + 1);
        commit.done.send(Ok(())).unwrap();
        assert!(records.join_all().await.iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn all_of_a_group_learn_why_it_failed() {
        let (group, commits) = group(100);
        let records = recording(&group, 3);
        settle().await;

        commits.try_recv().unwrap().done.send(Err(AuditUnavailable::Closed)).unwrap();

        assert_eq!(records.join_all().await.iter().filter(|result| result.is_err()).count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn one_record_more_than_may_wait_is_refused_at_once_and_room_comes_back() {
        let (group, commits) = group(2);
        let waiting = recording(&group, 2);
        settle().await;

        let refused = timeout(Duration::from_secs(1), group.record(&RECORD)).await.expect("it waits");
        assert!(matches!(refused, Err(AuditUnavailable::Overloaded { max_waiting: 2 })), "{refused:?}");

        commits.try_recv().unwrap().done.send(Ok(())).unwrap();
        waiting.join_all().await;
        let again = recording(&group, 1);
        settle().await;
        commits.try_recv().unwrap().done.send(Ok(())).unwrap();
        assert!(again.join_all().await.iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn an_outcome_is_taken_however_many_records_wait() {
        let (group, commits) = group(2);
        let waiting = recording(&group, 2);
        settle().await;
        let mut ending = JoinSet::new();
        let ended = group.clone();
        ending.spawn(async move { ended.record(&OUTCOME).await });
        settle().await;

        commits.try_iter().for_each(|commit| commit.done.send(Ok(())).unwrap());

        assert!(ending.join_all().await.iter().all(Result::is_ok));
        assert!(waiting.join_all().await.iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn who_is_told_that_its_record_is_durable_finds_room_for_the_next() {
        let (group, commits) = group(1);
        let settled = group.join(&RECORD).unwrap();
        let woken = Arc::new(Woken { group, waiting: Mutex::new(None) });
        let waker = Arc::clone(&woken).into();
        let mut wait = std::pin::pin!(settled.wait());
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        settle().await;

        commits.try_recv().unwrap().done.send(Ok(())).unwrap();
        settle().await;

        assert_eq!(*woken.waiting.lock().unwrap(), Some(0));
    }

    /// Notes how many records wait at the moment of the wake-up.
    struct Woken {
        group: Group,
        waiting: Mutex<Option<usize>>,
    }

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            let waiting = self.group.shared.pending().waiting;
            *self.waiting.lock().unwrap() = Some(waiting);
        }
    }

    #[tokio::test]
    async fn outcomes_are_told_apart_because_they_must_not_be_lost() {
        let (group, commits) = group(2);
        let other = group.clone();
        let mut records = recording(&group, 1);
        records.spawn(async move { other.record(&OUTCOME).await });
        settle().await;

        let commit = commits.try_recv().unwrap();

        assert!(commit.others.starts_with(b"{") && commit.outcomes.starts_with(b"{"));
        assert!(String::from_utf8(commit.outcomes).unwrap().contains(r#""event":"failed""#));
    }

    #[test]
    fn a_group_whose_core_ends_fails_on_every_other_core() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (leading, following) = (runtime(), runtime());
        let (group, _commits) = group(2);
        leading.block_on(async { group.join(&RECORD).unwrap() });
        let follower = group.join(&RECORD).unwrap();

        drop(leading);

        let told = following.block_on(async { timeout(Duration::from_secs(30), follower.wait()).await });
        assert!(matches!(told, Ok(Err(AuditUnavailable::Closed))), "{told:?}");
        assert_eq!(group.shared.pending().waiting, 0);
    }
}
