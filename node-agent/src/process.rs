//! The running agent: its components, in the order in which they need each other.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use signet_client::{CaClient, IstioCa, Reachability};
use signet_identity::Clock;
use signet_runtime::{
    cores::Cores,
    listener::Server,
    operations::{self, Readiness},
    peer::UnixCredentials,
    telemetry,
};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;

use crate::{
    Peers, Renewer, SdsService, Terms,
    config::{Config, LimitsConfig, SocketConfig, Source},
    metrics,
    routes::{Health, routes},
    socket::{self, SocketError},
    vault::VaultCa,
};

/// An agent that serves.
pub struct Process {
    operations: SocketAddr,
    health: Health,
    cores: Cores,
    drain: Duration,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Cancelled last: an orchestrator watches the process drain.
    stop_operations: CancellationToken,
}

impl Process {
    /// Starts everything. When it returns, streams are answered, or held until the CA can be had. The runtime
    /// that it is called on becomes the control runtime: it accepts, renews, talks to the CA and answers the
    /// operations port.
    ///
    /// # Errors
    /// The first component that cannot start, with the reason.
    pub async fn start(
        config: Config,
        measured: telemetry::Metrics,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Result<Self> {
        metrics::describe();
        let (tasks, stop_operations) = (TaskTracker::new(), CancellationToken::new());
        let readiness = Readiness::of(concat!("signet-node-agent ", env!("CARGO_PKG_VERSION")));
        // First of all: proxies that find the socket wait, and those that do not back off.
        let sockets = bind_all(config.sockets).await?;

        let terms = Terms {
            trust_domain: config.identity.trust_domain,
            lifetime: config.certificate.lifetime,
            audience: config.ca.audience,
            most_svids: config.limits.streams.node,
        };
        let ca: Arc<dyn CaClient> = match config.ca.source {
            Source::Ca(endpoint) => Arc::new(IstioCa::new(endpoint)?),
            Source::Vault(vault) => {
                let (trust_domain, most) = (terms.trust_domain.clone(), terms.most_svids);
                let (ca, keeper) =
                    VaultCa::new(*vault, trust_domain, most).context("cannot set up the Vault client")?;
                tasks.spawn(keeper.run(stop.clone()));
                Arc::new(ca)
            }
        };
        tasks.spawn(stop.clone().run_until_cancelled_owned(show_ca(ca.reachability(), readiness.clone())));
        let (cache, renewer) = Renewer::new(terms, ca, clock);
        tasks.spawn(renewer.run(stop.clone()));

        let (health, peers) = (Health::serving().await, Peers::new(config.limits.streams));
        let cores = Cores::start(SERVING_CORES, "serving")?;
        let LimitsConfig { connection, capacity, .. } = config.limits;
        let bounds = Server::new(Routes::default(), connection, capacity, cores.clone(), "signet_agent");
        for (socket, listener) in sockets {
            let service = SdsService::new(&socket.identity, cache.clone(), peers.clone()).until(stop.clone());
            let server = bounds.with_services(routes(service, &health)?);
            tasks.spawn(serve(server, socket, listener, peers.clone(), stop.clone()));
        }

        let listener = bind_operations(config.operations.listen).await?;
        let operations = listener.local_addr()?;
        tasks.spawn(operations::serve(listener, measured, readiness, stop_operations.clone()));
        tracing::info!(%operations, "serving");
        let drain = connection.grace();
        Ok(Self { operations, health, cores, drain, tasks, stop, stop_operations })
    }

    /// Where metrics and probes are.
    pub fn operations(&self) -> SocketAddr {
        self.operations
    }

    /// Serves until the token that it was started with is cancelled, then drains: accepts nothing more, lets
    /// what is under way finish within its grace, and ends every task. Proxies keep what they have.
    pub async fn run(self) {
        self.stop.cancelled().await;
        self.health.draining().await;
        let abandoned = self.cores.drain(self.drain).await;
        self.stop_operations.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        tracing::info!(abandoned, "stopped");
    }
}

async fn bind_all(sockets: Vec<SocketConfig>) -> Result<Vec<(SocketConfig, UnixListener)>, SocketError> {
    let mut bound = Vec::new();
    for socket in sockets {
        let listener = socket::bind(&socket.path, socket.access()).await?;
        tracing::info!(path = %socket.path.display(), "listening");
        bound.push((socket, listener));
    }
    Ok(bound)
}

async fn serve(
    server: Server<Routes>,
    socket: SocketConfig,
    listener: UnixListener,
    peers: Peers,
    stop: CancellationToken,
) {
    let admit = |unix: &UnixCredentials| peers.connect(unix).filter(|_| socket.admits(unix.uid()));
    server.serve_unix(listener, admit, stop).await;
}

/// A remark and no condition: without the CA, streams are held and certificates serve to their end.
async fn show_ca(mut reachability: watch::Receiver<Reachability>, readiness: Readiness) {
    loop {
        readiness.remark("ca", reachability.borrow_and_update().to_string());
        if reachability.changed().await.is_err() {
            return;
        }
    }
}

async fn bind_operations(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address} (`operations.listen`)"))
}

/// A push to all proxies of a node with 250 pods takes 6 ms of one core.
const SERVING_CORES: usize = 1;
