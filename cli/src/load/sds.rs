//! Many SDS streams before one agent, as the proxies of a node hold them.
//!
//! A stream is a task over raw HTTP/2 that takes note of what arrives, acknowledges it as Envoy does, and keeps
//! nothing: a push to ten thousand streams must cost this side less than it costs the agent, or this side would be
//! what is measured.

mod message;
mod stream;
mod tally;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use hdrhistogram::CreationError;
use signet_client::sds::Credential;
use tokio::net::UnixStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tonic::Status;

use stream::{Ask, Stream};
use tally::News;
pub use tally::{Ends, Rollout, Tally};

/// What is opened.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The agent's socket.
    pub socket: PathBuf,
    /// How many streams. At least one.
    pub streams: usize,
    /// Over how many connections, evenly. At least one, and no more than there are streams.
    pub connections: usize,
    /// What each stream subscribes to.
    pub names: Vec<String>,
    /// What the streams show, one each, by turns. Those that show the same are a group, to which the agent pushes the
    /// same secrets. None: nothing is shown, and all are one group.
    pub credentials: Vec<Credential>,
}

/// Streams that are open or are being opened. Dropping it cuts them all.
#[derive(Debug)]
pub struct Streams {
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

/// What all streams write into.
#[derive(Debug)]
struct Seen {
    tally: Mutex<Tally>,
    news: Notify,
}

impl Streams {
    /// Begins to open the streams, 64 at a time, on the runtime that this is called from.
    ///
    /// # Errors
    /// The plan opens nothing, or has a credential that no header can carry.
    pub fn open(plan: Plan) -> Result<Self> {
        let Plan { streams, connections, .. } = plan;
        ensure!(streams > 0, "no streams to open (want one at least)");
        ensure!(
            (1..=streams).contains(&connections),
            "{connections} connections for {streams} streams (want one at least, and no more than streams)"
        );
        let opener = Arc::new(Opener {
            asks: Ask::all(&plan)?,
            socket: plan.socket,
            places: Arc::new(Semaphore::new(OPENING)),
            seen: Arc::new(Seen::new(streams, plan.credentials.len().max(1))?),
        });
        let mut tasks = JoinSet::new();
        let mut next = 0;
        for connection in 0..connections {
            let first = next;
            next += share(streams, connections, connection);
            tasks.spawn(Arc::clone(&opener).carry(first..next));
        }
        Ok(Self { seen: Arc::clone(&opener.seen), _tasks: tasks })
    }

    /// Waits until each stream has its first secrets, or has ended.
    pub async fn opened(&self) {
        self.seen.until(|tally| (tally.waiting() == 0).then_some(())).await;
    }

    /// The next push that has reached every open stream of its group, and was the first of none. Each is told once, in
    /// the order in which they were complete.
    pub async fn rollout(&self) -> Rollout {
        self.seen.until(Tally::next_rollout).await
    }

    /// What was seen so far.
    pub fn tally(&self) -> Tally {
        self.seen.tally().clone()
    }
}

impl Seen {
    fn new(streams: usize, groups: usize) -> Result<Self, CreationError> {
        let sizes = (0..groups).map(|group| share(streams, groups, group));
        Ok(Self { tally: Mutex::new(Tally::new(sizes)?), news: Notify::new() })
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        // Every change under the lock is whole, so a panicking holder leaves nothing half-done.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes something down.
    fn note(&self, change: impl FnOnce(&mut Tally) -> News) {
        let news = change(&mut self.tally());
        // Waking for each of ten thousand arrivals would show in what is measured.
        if news == News::Some {
            self.news.notify_waiters();
        }
    }

    async fn until<T>(&self, mut look: impl FnMut(&mut Tally) -> Option<T>) -> T {
        loop {
            let news = self.news.notified();
            let answer = look(&mut self.tally());
            match answer {
                Some(answer) => return answer,
                None => news.await,
            }
        }
    }
}

/// What it takes to open any of the streams.
struct Opener {
    socket: PathBuf,
    asks: Vec<Arc<Ask>>,
    places: Arc<Semaphore>,
    seen: Arc<Seen>,
}

impl Opener {
    /// One connection with these streams, until the last of them has ended.
    async fn carry(self: Arc<Self>, streams: Range<usize>) {
        let mut tasks = JoinSet::new();
        // The first stream's: a connection is open when somebody has been answered on it. The kernel connects to a
        // Unix socket before the agent has seen it, and refuses when thousands wait to be seen.
        let mut place = self.place().await;
        match connect(&self.socket).await {
            Ok((requests, connection)) => {
                tasks.spawn(async move { drop(connection.await) });
                for stream in streams {
                    tasks.spawn(Arc::clone(&self).live(stream, requests.clone(), place.take()));
                }
            }
            Err(why) => {
                drop(place);
                streams.for_each(|stream| self.note_end(stream, None, &why));
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// `None`: the load has ended.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    async fn live(
        self: Arc<Self>,
        number: usize,
        requests: SendRequest<Bytes>,
        place: Option<OwnedSemaphorePermit>,
    ) {
        let Some(ask) = self.asks.get(self.group(number)).map(Arc::clone) else { return };
        let mut place = if place.is_some() { place } else { self.place().await };
        let mut stream = match Stream::open(ask, requests).await {
            Ok(stream) => stream,
            Err(why) => return self.note_end(number, None, &why),
        };
        let end = loop {
            match stream.next().await {
                Ok(arrival) => self.seen.note(|tally| tally.arrived(self.group(number), arrival)),
                Err(end) => break end,
            }
            place.take();
        };
        self.note_end(number, stream.version(), &end);
    }

    fn group(&self, stream: usize) -> usize {
        stream % self.asks.len()
    }

    fn note_end(&self, stream: usize, version: Option<&str>, end: &Status) {
        self.seen.note(|tally| tally.ended(self.group(stream), version, end));
    }
}

type Connection = h2::client::Connection<UnixStream, Bytes>;

async fn connect(socket: &Path) -> Result<(SendRequest<Bytes>, Connection), Status> {
    let connected = UnixStream::connect(socket).await;
    let stream = connected.map_err(|error| Status::unavailable(format!("cannot connect: {error}")))?;
    let handshake = h2::client::Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .handshake(stream);
    handshake.await.map_err(|error| Status::unavailable(format!("no HTTP/2: {error}")))
}

/// How much of `all`, dealt out one by one to so many, falls to the one at `place`.
fn share(all: usize, among: usize, place: usize) -> usize {
    all / among + usize::from(place < all % among)
}

/// Connections and streams that are opened at a time: enough to keep an agent busy, and not so many that the time to a
/// first secret is that of a queue.
const OPENING: usize = 64;
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
/// As Envoy, which leaves the agent room for all that it has to say.
const CONNECTION_WINDOW_BYTES: u32 = 24 << 20;

#[cfg(test)]
mod tests;
