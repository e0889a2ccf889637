//! Steady traffic, in which each request is counted and none is tried again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::http;

/// Requests at a fixed rate, whatever happens to the ones before. Stops when it is dropped.
#[derive(Debug)]
pub struct Load {
    tally: Arc<Mutex<Tally>>,
    enough: CancellationToken,
    sender: JoinSet<()>,
}

/// What became of the requests that are done.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Answered or failed.
    pub requests: u64,
    /// Not answered with status 200.
    pub failures: u64,
    /// The longest time that an answer took.
    pub slowest: Duration,
    /// What failed first, if anything did.
    pub first_failure: Option<Failure>,
}

/// A request that was not answered with status 200.
#[derive(Debug, Clone)]
pub struct Failure {
    /// When it had failed.
    pub at: Instant,
    /// What it was answered.
    pub answer: String,
}

impl Load {
    /// Sends a request to 127.0.0.1:`port` every `pause`, each on a connection of its own.
    pub fn start(port: u16, pause: Duration) -> Self {
        let tally = Arc::default();
        let enough = CancellationToken::new();
        let mut sender = JoinSet::new();
        sender.spawn(send(port, pause, Arc::clone(&tally), enough.clone()));
        Self { tally, enough, sender }
    }

    /// What has become of the requests so far.
    pub fn so_far(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends no more, waits for the answers that are due, and adds it all up.
    pub async fn finish(mut self) -> Tally {
        self.enough.cancel();
        while self.sender.join_next().await.is_some() {}
        self.so_far()
    }
}

async fn send(port: u16, pause: Duration, tally: Arc<Mutex<Tally>>, enough: CancellationToken) {
    let mut pace = interval(pause);
    pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut in_flight = JoinSet::new();
    while enough.run_until_cancelled(pace.tick()).await.is_some() {
        in_flight.spawn(request(port, Arc::clone(&tally)));
        while in_flight.try_join_next().is_some() {}
    }
    while in_flight.join_next().await.is_some() {}
}

async fn request(port: u16, tally: Arc<Mutex<Tally>>) {
    let began = Instant::now();
    let failure = match http::get(port, "/").await {
        Ok(answer) if answer.status.is_success() => None,
        Ok(answer) => Some(format!("{}: {}", answer.status, answer.body)),
        Err(error) => Some(format!("{error:#}")),
    };
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    tally.requests += 1;
    tally.slowest = tally.slowest.max(began.elapsed());
    if let Some(answer) = failure {
        tally.failures += 1;
        tally.first_failure.get_or_insert(Failure { at: Instant::now(), answer });
    }
}
