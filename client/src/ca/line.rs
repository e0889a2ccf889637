//! The line to the CA: one connection at a time, kept up whether or not anybody calls.

use std::{path::PathBuf, sync::Arc, time::Duration};

use signet_runtime::telemetry::chain;
use tokio::{
    select,
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at},
};
use tracing::{debug, info, warn};

use super::{
    Reachability,
    anchors::Anchors,
    backoff::Backoff,
    connect::{ConnectError, Connection, Connector},
    reachability::CaEvent,
};
use crate::http2::Sender;

/// The callers' end. Dropping it cuts the line.
#[derive(Debug)]
pub(crate) struct Line {
    state: watch::Receiver<State>,
    wanted: Arc<Notify>,
    reachability: watch::Sender<Reachability>,
    _keeper: JoinSet<()>,
}

#[derive(Debug, Clone)]
enum State {
    /// Holds why the last attempt failed, if one did.
    Down(Option<Arc<ConnectError>>),
    Up(Sender),
}

impl Line {
    /// Starts to connect, on the runtime that this is called from.
    pub(crate) fn new(connector: Connector, anchors: PathBuf, pace: Pace) -> Self {
        let (sender, state) = watch::channel(State::Down(None));
        let wanted = Arc::new(Notify::new());
        let reachability = watch::Sender::new(Reachability::Unknown);
        let keeper = Keeper {
            connector,
            anchors,
            backoff: Backoff::new(pace.first_wait, pace.longest_wait),
            pace,
            state: sender,
            wanted: Arc::clone(&wanted),
            reachability: reachability.clone(),
            retired: JoinSet::new(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(keeper.run());
        Self { state, wanted, reachability, _keeper: tasks }
    }

    /// Waits for a connection. Fails at the deadline, with what the last attempt died of.
    pub(crate) async fn sender(&self, deadline: Instant) -> Result<Sender, Option<Arc<ConnectError>>> {
        let mut state = self.state.clone();
        loop {
            let reason = match &*state.borrow_and_update() {
                State::Up(sender) if !sender.is_closed() => return Ok(sender.clone()),
                State::Up(_) => None,
                State::Down(reason) => reason.clone(),
            };
            self.wanted.notify_one();
            if !matches!(timeout_at(deadline, state.changed()).await, Ok(Ok(()))) {
                return Err(reason);
            }
        }
    }

    /// Waits until an attempt to connect has ended, or a connection stands.
    pub(crate) async fn attempted(&self) -> Result<(), Arc<ConnectError>> {
        let mut state = self.state.clone();
        let ended = state.wait_for(|state| !matches!(state, State::Down(None))).await;
        match ended.as_deref() {
            Ok(State::Down(Some(reason))) => Err(Arc::clone(reason)),
            _ => Ok(()),
        }
    }

    pub(crate) fn reachability(&self) -> watch::Receiver<Reachability> {
        self.reachability.subscribe()
    }

    /// Notes how a call ended.
    pub(crate) fn note(&self, event: CaEvent) {
        note(&self.reachability, event);
    }
}

/// When to try again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Back-off of an idle line: its first wait at most, and any wait at most.
    pub(crate) first_wait: Duration,
    pub(crate) longest_wait: Duration,
    /// Between attempts while a caller waits, however long the back-off would still run.
    pub(crate) wanted_gap: Duration,
    /// A connection that stood this long owes nothing to failures before it.
    pub(crate) stable: Duration,
    /// How often the anchors' file is compared with what the connection was made with.
    pub(crate) anchors_check: Duration,
}

/// The task that keeps the connection up.
struct Keeper {
    connector: Connector,
    anchors: PathBuf,
    pace: Pace,
    backoff: Backoff,
    state: watch::Sender<State>,
    wanted: Arc<Notify>,
    reachability: watch::Sender<Reachability>,
    /// Connections that no new call goes to and that still owe answers.
    retired: JoinSet<()>,
}

impl Keeper {
    async fn run(mut self) {
        loop {
            let attempt = Instant::now();
            match self.connect().await {
                Ok((anchors, connection)) => self.hold(&anchors, connection).await,
                Err(error) => self.fail(error),
            }
            if attempt.elapsed() < self.pace.stable {
                self.wait(attempt).await;
            } else {
                self.backoff.reset();
            }
        }
    }

    async fn connect(&self) -> Result<(Anchors, Connection), ConnectError> {
        let anchors = Anchors::read(&self.anchors)?;
        let (sender, connection) = self.connector.connect(&anchors).await?;
        info!(address = %self.connector.address, "connected to the CA");
        self.state.send_replace(State::Up(sender));
        note(&self.reachability, CaEvent::Connected);
        Ok((anchors, connection))
    }

    /// Serves the connection until it ends (also by a GOAWAY) or its anchors are no longer those of the file.
    async fn hold(&mut self, anchors: &Anchors, connection: Connection) {
        while self.retired.try_join_next().is_some() {}
        let mut connection = Box::pin(connection);
        let end = select! {
            end = connection.as_mut() => Some(end),
            () = self.anchors_changed(anchors) => None,
        };
        self.state.send_replace(State::Down(None));
        match end {
            Some(Ok(())) => debug!("the CA closed the connection"),
            Some(Err(error)) => warn!(error = %chain(&error), "the connection to the CA broke"),
            None => {
                info!(path = %self.anchors.display(), "the CA's trust anchors changed; connecting anew");
                self.backoff.reset();
                self.retired.spawn(async move { drop(connection.await) });
            }
        }
    }

    /// Until the file holds other anchors that can be used. One that is missing or half-written changes nothing.
    async fn anchors_changed(&self, used: &Anchors) {
        let mut checks = interval(self.pace.anchors_check);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            checks.tick().await;
            match used.have_changed(&self.anchors) {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => debug!(error = %chain(&error), "keeping the trust anchors in use"),
            }
        }
    }

    /// The first failure of an outage is a warning, the rest would only fill the log.
    fn fail(&self, error: ConnectError) {
        let (error, address) = (Arc::new(error), &self.connector.address);
        let before = self.state.send_replace(State::Down(Some(Arc::clone(&error))));
        note(&self.reachability, CaEvent::ConnectFailed);
        match before {
            State::Down(Some(last)) if last.to_string() == error.to_string() => {
                debug!(%address, error = %chain(&*error), "still no connection to the CA");
            }
            _ => warn!(%address, error = %chain(&*error), "cannot connect to the CA; trying again"),
        }
    }

    /// Waits out the back-off, or less once a caller waits too.
    async fn wait(&mut self, attempt: Instant) {
        let due = Instant::now() + self.backoff.next(fastrand::f64());
        select! {
            () = sleep_until(due) => {}
            () = self.wanted.notified() => sleep_until(due.min(attempt + self.pace.wanted_gap)).await,
        }
    }
}

fn note(reachability: &watch::Sender<Reachability>, event: CaEvent) {
    reachability.send_if_modified(|state| {
        let before = *state;
        *state = state.after(event);
        *state != before || event == CaEvent::Connected
    });
}
