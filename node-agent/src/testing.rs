//! An agent without a socket, before a CA in memory, on paused time.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use signet_client::{
    Token,
    testing::{BundleAnswer, FakeCa},
};
use signet_identity::{
    Clock, Pod, PrivateKey,
    jwt::{DevelopmentIssuer, TokenRequest},
};
use signet_runtime::testing::TokioClock;
use tokio::{task::JoinSet, time::timeout};
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::{
    Renewer, SecretCache, Terms,
    peer::testing::peer_named,
    secret_cache::{Credential, Lease, SvidState},
    trouble::Withheld,
    workload::audience::TokenAudience,
};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const UID: u32 = 1337;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A wall clock that somebody sets: it goes as the timers do, and steps when told to.
pub(crate) struct SetClock {
    timers: TokioClock,
    ahead: Mutex<Duration>,
}

impl SetClock {
    /// At the same time of day as other worlds.
    pub(crate) fn new() -> Self {
        Self { timers: TokioClock::starting_at(start() - DAY), ahead: Mutex::new(DAY) }
    }

    pub(crate) fn forward(&self, step: Duration) {
        *self.ahead.lock().unwrap() += step;
    }

    /// At most a day in all.
    pub(crate) fn back(&self, step: Duration) {
        *self.ahead.lock().unwrap() -= step;
    }
}

impl Clock for SetClock {
    fn now(&self) -> SystemTime {
        self.timers.now() + *self.ahead.lock().unwrap()
    }
}

/// What a test of the agent's core needs. Only on a runtime with paused time.
pub(crate) struct World {
    pub(crate) ca: Arc<FakeCa>,
    pub(crate) cache: SecretCache,
    clock: Arc<dyn Clock>,
    tasks: JoinSet<()>,
    _stop: tokio_util::sync::DropGuard,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::holding_at_most(100)
    }

    /// Before a CA that tells its roots with certificates only, as istiod does.
    pub(crate) fn before_another_ca() -> Self {
        let world = Self::new();
        world.ca.tell_bundle(BundleAnswer::NotOffered);
        world
    }

    pub(crate) fn holding_at_most(most_svids: usize) -> Self {
        Self::on(Arc::new(TokioClock::starting_at(start())), most_svids)
    }

    pub(crate) fn on(clock: Arc<dyn Clock>, most_svids: usize) -> Self {
        Self::with(clock, most_svids, None)
    }

    /// Where tokens are shown to nobody but whom they are for.
    pub(crate) fn for_audience(audience: TokenAudience) -> Self {
        Self::with(Arc::new(TokioClock::starting_at(start())), 100, Some(audience))
    }

    fn with(clock: Arc<dyn Clock>, most_svids: usize, audience: Option<TokenAudience>) -> Self {
        let ca = Arc::new(FakeCa::new("td.test".parse().unwrap(), clock.clone()));
        let trust_domain = "td.test".parse().unwrap();
        let terms = Terms { trust_domain, lifetime: Some(HOUR), audience, most_svids };
        let (cache, renewer) = Renewer::new(terms, ca.clone(), clock.clone());
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(renewer.run(stop.clone()));
        Self { ca, cache, clock, tasks, _stop: stop.drop_guard() }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// A genuine token of `spiffe://td.test/ns/a/sa/<account>`.
    pub(crate) fn token(&self, account: &str, lifetime: Duration) -> Token {
        self.ca.token("a", account, lifetime)
    }

    /// A token that claims the same and that the CA never issued. No two are alike.
    pub(crate) fn forged_token(&self, account: &str) -> Token {
        let issuer =
            DevelopmentIssuer::new(PrivateKey::generate().unwrap(), "https://forger.test".to_owned());
        let request = TokenRequest {
            namespace: "a".to_owned(),
            service_account: account.to_owned(),
            audiences: vec!["istio-ca".to_owned()],
            lifetime: HOUR,
            pod: Pod::default(),
        };
        Token::new(&issuer.mint(&request, self.now()).unwrap()).unwrap()
    }

    /// A stream's interest, from a peer of the account's own.
    pub(crate) fn lease(&self, token: &Token) -> Result<Lease, Withheld> {
        self.lease_of("pod", token)
    }

    pub(crate) fn lease_of(&self, peer: &str, token: &Token) -> Result<Lease, Withheld> {
        self.cache.subscribe(&Credential::Stream(token.clone()), UID, peer_named(peer))
    }

    /// Lets everything happen that takes no time.
    pub(crate) async fn settle(&self) {
        assert!(!self.tasks.is_empty());
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets `time` pass. Paused time goes from timer to timer, so nothing is late.
    pub(crate) async fn pass(&self, time: Duration) {
        self.settle().await;
        tokio::time::sleep(time).await;
        self.settle().await;
    }
}

/// The time of day at which every world begins.
fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

/// The version of what a lease has to serve.
pub(crate) fn served(lease: &Lease) -> Option<String> {
    lease.now().secret.map(|secret| secret.version().to_string())
}

/// The first state for which `wanted` holds, within an hour.
pub(crate) async fn state_when(lease: &Lease, wanted: impl Fn(&SvidState) -> bool) -> SvidState {
    let mut states = lease.states();
    let found = async {
        while let Some(state) = states.next().await {
            if wanted(&state) {
                return Some(state);
            }
        }
        None
    };
    timeout(HOUR, found).await.expect("within an hour").expect("the entry lives as long as its lease")
}
