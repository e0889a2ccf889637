//! One Vault: its addresses, and the bounds on asking it.
//!
//! Metrics, each after the prefix of the process (`signet_ca`, `signet_agent`): `_vault_requests_total` by
//! `outcome`, `_vault_request_seconds`, `_vault_requests_in_flight`, `_vault_available` (1, or 0 while nobody
//! asks because it is away).

mod call;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use reqwest::Url;
use serde::de::DeserializeOwned;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep, timeout_at},
};

use self::call::Call;
use super::{
    VaultConfig, VaultError,
    answer::{Answer, Raw},
    breaker::Breaker,
    limit::Limit,
    request::Request,
    retry,
    transport::Transport,
};

/// A Vault, or the nodes of one. Knows no token. Clones share it.
#[derive(Clone)]
pub struct VaultClient(Arc<Inner>);

struct Inner {
    config: VaultConfig,
    transport: ArcSwap<Transport>,
    breaker: Mutex<Breaker>,
    limit: Mutex<Limit>,
    /// Requests under way, and how many may wait for that.
    places: Semaphore,
    waiting: AtomicUsize,
    /// Of the addresses, the one that answered last.
    preferred: AtomicUsize,
    metrics: Metrics,
}

struct Metrics {
    prefix: &'static str,
    seconds: metrics::Histogram,
    in_flight: metrics::Gauge,
    available: metrics::Gauge,
}

impl VaultClient {
    /// A client by the files as they are now. Nothing is asked yet. `prefix` begins the names of its metrics.
    ///
    /// # Errors
    /// A file that it needs cannot be used.
    pub fn new(config: VaultConfig, prefix: &'static str) -> Result<Self, VaultError> {
        let transport = ArcSwap::from_pointee(Transport::new(&config)?);
        let metrics = Metrics {
            prefix,
            seconds: metrics::histogram!(format!("{prefix}_vault_request_seconds")),
            in_flight: metrics::gauge!(format!("{prefix}_vault_requests_in_flight")),
            available: metrics::gauge!(format!("{prefix}_vault_available")),
        };
        metrics.available.set(1.0);
        Ok(Self(Arc::new(Inner {
            transport,
            breaker: Mutex::default(),
            limit: Mutex::default(),
            places: Semaphore::new(config.concurrency),
            waiting: AtomicUsize::new(0),
            preferred: AtomicUsize::new(0),
            metrics,
            config,
        })))
    }

    /// How it is reached.
    pub fn config(&self) -> &VaultConfig {
        &self.0.config
    }

    /// What the names of its metrics begin with.
    pub(super) fn prefix(&self) -> &'static str {
        self.0.metrics.prefix
    }

    /// Why nobody asks it now, if it is away.
    pub fn away(&self) -> Option<Arc<VaultError>> {
        self.0.breaker().cause()
    }

    /// Reads the files that TLS needs again, as is done before a login.
    pub(super) fn refresh(&self) -> Result<(), VaultError> {
        self.0.refresh()
    }

    /// Asks, and asks again as far as that is of use and `deadline` allows.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        request: &Request,
        token: Option<&str>,
        deadline: Instant,
    ) -> Result<Answer<T>, VaultError> {
        let _place = self.0.place(deadline).await.inspect_err(|error| self.0.count(error.label()))?;
        let (mut attempt, mut before) = (1, None);
        loop {
            self.0.below_the_limit(deadline).await.inspect_err(|error| self.0.count(error.label()))?;
            let answer = self.0.attempt(request, token, deadline).await;
            let Err(error) = answer else { return answer };
            // The last attempt may have had no time; what the one before failed of is what there is to mend.
            if let Some(before) = before.take_if(|_| Instant::now() >= deadline) {
                return Err(before);
            }
            let Some(pause) = retry::pause(&error, attempt, fastrand::f64()) else { return Err(error) };
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            attempt += 1;
            before = Some(error);
            sleep(pause).await;
        }
    }
}

impl Inner {
    /// Waits until Vault's rate limit allows another request. Fails at once if that is too late: the caller
    /// may come back, and somebody with more time has its place.
    async fn below_the_limit(&self, deadline: Instant) -> Result<(), VaultError> {
        loop {
            let now = Instant::now();
            let Some(left) = self.limit().left(now) else { return Ok(()) };
            if now + left >= deadline {
                return Err(VaultError::RateLimited { retry_after: Some(left) });
            }
            sleep(left + RETURN_WITHIN.mul_f64(fastrand::f64())).await;
        }
    }

    async fn place(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, VaultError> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let _waiting = Waiting::among(&self.waiting, self.config.queue)?;
        match timeout_at(deadline, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(VaultError::NoTime),
        }
    }

    /// One attempt, at as many addresses as it takes.
    async fn attempt<T: DeserializeOwned>(
        &self,
        request: &Request,
        token: Option<&str>,
        deadline: Instant,
    ) -> Result<Answer<T>, VaultError> {
        if Instant::now() >= deadline {
            return Err(VaultError::NoTime);
        }
        let admitted = self.breaker().admit(Instant::now());
        let pass = admitted.inspect_err(|error| self.count(error.label()))?;
        let call = Call::begin(self, pass);
        let answer = self.everywhere(request, token, deadline).await;
        if let Err(VaultError::RateLimited { retry_after }) = &answer {
            self.limit().reached(*retry_after, Instant::now());
        }
        self.count(answer.as_ref().err().map_or("answered", VaultError::label));
        call.end(answer.as_ref().err(), deadline);
        answer
    }

    async fn everywhere<T: DeserializeOwned>(
        &self,
        request: &Request,
        token: Option<&str>,
        deadline: Instant,
    ) -> Result<Answer<T>, VaultError> {
        let addresses = &self.config.addresses;
        let first = self.preferred.load(Ordering::Relaxed);
        let mut failed = VaultError::NoTime;
        for place in (0..addresses.len()).map(|place| (first + place) % addresses.len()) {
            let Some(address) = addresses.get(place).filter(|_| Instant::now() < deadline) else { break };
            let answer = self.exchange(address, request, token, deadline).await;
            match answer.and_then(|raw| raw.judged(address.as_str(), &request.path)) {
                Err(error) if error.is_of_the_node() => {
                    failed = worse(failed, error);
                    // One that is silent takes all the time there is: whoever comes next begins elsewhere.
                    self.preferred.store((place + 1) % addresses.len(), Ordering::Relaxed);
                }
                answer => {
                    self.preferred.store(place, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(failed)
    }

    /// A connection that fails may need what the files hold by now.
    async fn exchange(
        &self,
        address: &Url,
        request: &Request,
        token: Option<&str>,
        deadline: Instant,
    ) -> Result<Raw, VaultError> {
        let transport = self.transport.load_full();
        let answer = transport.exchange(address, request, token, deadline).await;
        if !answer.as_ref().is_err_and(VaultError::is_of_the_connection) || self.refresh().is_err() {
            return answer;
        }
        let fresh = self.transport.load_full();
        if Arc::ptr_eq(&transport, &fresh) {
            return answer;
        }
        fresh.exchange(address, request, token, deadline).await
    }

    fn refresh(&self) -> Result<(), VaultError> {
        if let Some(transport) = self.transport.load().refreshed(&self.config)? {
            tracing::info!("the TLS files of the Vault client have changed");
            self.transport.store(Arc::new(transport));
        }
        Ok(())
    }

    fn count(&self, outcome: &'static str) {
        let name = format!("{}_vault_requests_total", self.metrics.prefix);
        metrics::counter!(name, "outcome" => outcome).increment(1);
    }

    fn limit(&self) -> MutexGuard<'_, Limit> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of what two nodes of a Vault failed of, what tells an operator more.
fn worse(one: VaultError, other: VaultError) -> VaultError {
    let tells = |error: &VaultError| match error {
        VaultError::NoTime => 0,
        VaultError::Standby { .. } | VaultError::Redirected { .. } => 1,
        VaultError::Unreachable { .. } | VaultError::TimedOut { .. } => 2,
        _ => 3,
    };
    if tells(&other) >= tells(&one) { other } else { one }
}

/// One of those who wait for a place.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn among(waiting: &'a AtomicUsize, queue: usize) -> Result<Self, VaultError> {
        let one = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) < queue {
            Ok(one)
        } else {
            Err(VaultError::Overloaded { queue })
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Those who waited for a rate limit come back spread over so long.
const RETURN_WITHIN: Duration = Duration::from_millis(100);

impl std::fmt::Debug for VaultClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let addresses: Vec<&str> = self.0.config.addresses.iter().map(Url::as_str).collect();
        f.debug_struct("VaultClient").field("addresses", &addresses).finish_non_exhaustive()
    }
}
