//! The keys of one issuer, as last loaded, and the task that keeps them fresh.
//!
//! Serving cores only ever read an `Arc`. Loading happens on the control runtime, in one task per issuer, so
//! that a thousand tokens with an unknown key cause one fetch and a slow issuer blocks no core.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwapOption;
use metrics::Gauge;
use signet_identity::{Clock, jwt::Jwks};
use signet_runtime::{line_limit::LineLimit, telemetry::chain};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    IssuerConfig,
    fetch::HttpClient,
    source::{Source, SourceError},
};
use crate::metrics::{KeyFetch, Metrics};

/// When keys are loaded anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshTimes {
    /// In the background, while all is well.
    pub interval: Duration,
    /// Least time between two loads, whatever tokens come in. Also the pause after a failed one.
    pub floor: Duration,
}

/// Whether keys that are marked as a development issuer's are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevelopmentKeys {
    /// Never; the default.
    Refused,
    /// With `--development`.
    Accepted,
}

/// A set of keys, and its place in the order of sets that this process has held.
#[derive(Debug)]
pub(crate) struct KeySet {
    pub(crate) jwks: Jwks,
    pub(crate) generation: u64,
}

/// The keys for the cores. Cloned handles share one set.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    shared: Arc<Shared>,
    asks: mpsc::Sender<oneshot::Sender<()>>,
}

/// Why a key that a token names cannot be had now. The operator's log has the cause, from the load itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysUnavailable {
    /// The last load failed, and the next is not due.
    #[error("the keys could not be loaded from their source")]
    SourceFailed,
    /// As many requests wait for the load under way as may.
    #[error("{MAX_WAITING} requests wait for keys to be loaded already")]
    TooManyWaiting,
}

/// Keeps the keys of one issuer fresh; [`run`](Self::run) it on the control runtime.
pub struct Refresher {
    issuer: String,
    source: Source,
    client: HttpClient,
    development: DevelopmentKeys,
    shared: Arc<Shared>,
    asks: mpsc::Receiver<oneshot::Sender<()>>,
    document: Vec<u8>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    loaded: Gauge,
    /// Bounds the lines on a failure that lasts; `None` while loads succeed.
    failing: Option<LineLimit>,
}

/// Requests that may wait for one load: honest ones come back, and a storm of invented key names must not
/// hold every place that admission gives.
const MAX_WAITING: usize = 32;

/// Loads fail every few seconds, and each says the same.
const TOLD_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Shared {
    held: ArcSwapOption<KeySet>,
    last: ArcSwapOption<Attempt>,
    times: RefreshTimes,
}

#[derive(Debug)]
struct Attempt {
    at: Instant,
    failure: Option<LoadFailure>,
}

/// Why the keys of an issuer cannot be loaded, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoadFailure {
    /// When the first load of a row without a good one failed.
    pub(crate) since: SystemTime,
    /// What the last one said, with all causes.
    pub(crate) reason: String,
}

impl Keys {
    /// The set of the last successful load; `None` until there was one.
    pub(crate) fn held(&self) -> Option<Arc<KeySet>> {
        self.shared.held.load_full()
    }

    /// Returns when the source has been asked, not longer ago than the floor: what is held then is what it
    /// has.
    ///
    /// # Errors
    /// It could not be asked; what is held may be old.
    pub(crate) async fn refresh(&self) -> Result<(), KeysUnavailable> {
        if let Some(attempt) = self.shared.recent() {
            return attempt.outcome();
        }
        let (done, is_done) = oneshot::channel();
        self.asks.try_send(done).map_err(|_full| KeysUnavailable::TooManyWaiting)?;
        is_done.await.map_err(|_stopped| KeysUnavailable::SourceFailed)?;
        self.shared.last.load().as_ref().map_or(Err(KeysUnavailable::SourceFailed), |last| last.outcome())
    }

    /// Why there are no keys, in the operator's words; `None` when there are some.
    pub(crate) fn missing(&self) -> Option<String> {
        if self.shared.held.load().is_some() {
            return None;
        }
        let last = self.shared.last.load();
        let reason = last.as_ref().and_then(|last| Some(last.failure.as_ref()?.reason.clone()));
        Some(reason.unwrap_or_else(|| "not loaded yet".to_owned()))
    }

    /// Why the last load failed; `None` when it did not. The keys that are held stay in either case.
    pub(crate) fn failure(&self) -> Option<LoadFailure> {
        self.shared.failure()
    }
}

impl Refresher {
    /// A refresher and the keys it serves, empty until the first load.
    pub(crate) fn new(
        config: &IssuerConfig,
        development: DevelopmentKeys,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> (Self, Keys) {
        let shared = Arc::new(Shared {
            held: ArcSwapOption::empty(),
            last: ArcSwapOption::empty(),
            times: config.times,
        });
        let (sender, asks) = mpsc::channel(MAX_WAITING);
        let keys = Keys { shared: Arc::clone(&shared), asks: sender };
        let (issuer, source) = (config.issuer.clone(), config.source.clone());
        let (document, loaded) = (Vec::new(), metrics.issuer_keys_loaded(&issuer));
        let client = HttpClient::default();
        let refresher = Self {
            issuer,
            source,
            client,
            development,
            shared,
            asks,
            document,
            clock,
            metrics,
            loaded,
            failing: None,
        };
        (refresher, keys)
    }

    /// Loads now, then on demand and in the background, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        stop.run_until_cancelled(async {
            loop {
                match timeout_at(self.due(), self.asks.recv()).await {
                    Err(_due) => self.load_and_tell().await,
                    Ok(Some(done)) => {
                        if self.shared.recent().is_none() {
                            self.load_and_tell().await;
                        }
                        let _gone = done.send(());
                    }
                    Ok(None) => return,
                }
            }
        })
        .await;
    }

    /// Loads before the process serves, from a file: one that cannot be used should stop the start. A server
    /// is asked by [`run`](Self::run): it may come up later than we do.
    ///
    /// # Errors
    /// As of [`load`](Self::load).
    pub async fn start(&mut self) -> Result<(), SourceError> {
        match self.source {
            Source::File(_) => self.load().await,
            Source::Url { .. } | Source::Discovery { .. } => Ok(()),
        }
    }

    /// Loads once. On failure the set that was held stays.
    ///
    /// # Errors
    /// What the source says, or that its keys are not for us.
    pub async fn load(&mut self) -> Result<(), SourceError> {
        let loaded = self.take_from_source().await;
        let failure = loaded.as_ref().err().map(|error| self.failure_of(error));
        self.shared.last.store(Some(Arc::new(Attempt { at: Instant::now(), failure })));
        self.metrics.key_fetch(match &loaded {
            Ok(true) => KeyFetch::Changed,
            Ok(false) => KeyFetch::Unchanged,
            Err(_) => KeyFetch::Failed,
        });
        loaded.map(|_changed| {
            let now = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.loaded.set(now.as_secs_f64());
        })
    }

    /// The failure of a load that said `error`: a new one, or the last one going on.
    fn failure_of(&self, error: &SourceError) -> LoadFailure {
        let since = self.shared.failure().map_or_else(|| self.clock.now(), |failure| failure.since);
        LoadFailure { since, reason: chain(error).to_string() }
    }

    async fn load_and_tell(&mut self) {
        let before = self.shared.generation();
        let loaded = self.load().await;
        if loaded.is_ok() && self.failing.take().is_some() {
            tracing::info!(issuer = %self.issuer, "issuer keys can be loaded again");
        }
        match loaded {
            Ok(()) if self.shared.generation() != before => {
                tracing::info!(issuer = %self.issuer, generation = self.shared.generation(), "issuer keys changed");
            }
            Ok(()) => {}
            Err(error) => self.tell_failure(&error),
        }
    }

    /// When it begins, and once a minute while it lasts.
    fn tell_failure(&mut self, error: &SourceError) {
        let lines = self.failing.get_or_insert_with(|| LineLimit::new(1, TOLD_EVERY));
        let Some(suppressed) = lines.admit() else { return };
        let (issuer, error) = (&self.issuer, chain(error));
        if self.shared.generation() == 0 {
            tracing::warn!(%issuer, %error, suppressed, "issuer keys could not be loaded, and there are none; its tokens cannot be checked");
        } else {
            tracing::warn!(%issuer, %error, suppressed, "issuer keys could not be loaded; the last good ones stay");
        }
    }

    /// True when the source has other keys than before.
    async fn take_from_source(&mut self) -> Result<bool, SourceError> {
        let document = self.source.document(&mut self.client, &self.issuer).await?;
        if document == self.document {
            return Ok(false);
        }
        let jwks = self.source.keys(&document, self.development)?;
        for reason in jwks.skipped() {
            tracing::warn!(issuer = %self.issuer, %reason, "a key of the issuer cannot be used; tokens signed by it are refused");
        }
        let generation = self.shared.generation() + 1;
        self.shared.held.store(Some(Arc::new(KeySet { jwks, generation })));
        self.document = document;
        Ok(true)
    }

    /// When the next load in the background is due.
    fn due(&self) -> Instant {
        let times = self.shared.times;
        match self.shared.last.load().as_ref() {
            None => Instant::now(),
            Some(last) if last.failure.is_some() => last.at + times.floor,
            Some(last) => last.at + times.interval,
        }
    }
}

impl Shared {
    /// The last attempt, if it is younger than the floor.
    fn recent(&self) -> Option<Arc<Attempt>> {
        self.last.load_full().filter(|last| last.at.elapsed() < self.times.floor)
    }

    /// What the last attempt ended in, if it failed.
    fn failure(&self) -> Option<LoadFailure> {
        self.last.load().as_ref().and_then(|last| last.failure.clone())
    }

    /// Zero while nothing is held.
    fn generation(&self) -> u64 {
        self.held.load().as_ref().map_or(0, |held| held.generation)
    }
}

impl Attempt {
    fn outcome(&self) -> Result<(), KeysUnavailable> {
        if self.failure.is_some() { Err(KeysUnavailable::SourceFailed) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
