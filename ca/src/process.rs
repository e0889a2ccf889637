//! The running CA: its components, in the order in which they need each other.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use signet_identity::Clock;
use signet_runtime::{
    cores::Cores,
    listener::Server,
    operations::{self, Readiness},
    telemetry,
    tls::{self, ServingCertificate},
};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admission::Admission,
    audit::{AuditLog, AuditSettings, Durability},
    authn::Authentication,
    authority::Authority,
    config::{AuditConfig, Config},
    health::{Conditions, Observed},
    issuance::Issuance,
    metrics::Metrics,
    routes::{Health, services},
    service::CertificateService,
    serving_certificate::{FileServing, ServingCertificateRenewer, ServingNames},
    signing::Signing,
    store::{DirectoryStore, StoreSettings},
    trust_bundle_service::TrustBundleService,
};

/// A CA that serves.
pub struct Process {
    grpc: SocketAddr,
    operations: SocketAddr,
    authority: Authority,
    health: Health,
    cores: Cores,
    grace: Duration,
    tasks: TaskTracker,
    stop: CancellationToken,
    stop_operations: CancellationToken,
}

impl Process {
    /// Starts every component; when it returns, requests are answered, until `stop` is cancelled. The runtime
    /// that it is called on becomes the control runtime: it accepts, loads keys, renews, and answers the
    /// operations port.
    ///
    /// # Errors
    /// The first component that cannot start, and why.
    pub async fn start(
        config: Config,
        measured: telemetry::Metrics,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Result<Self> {
        let (tasks, stop_operations) = (TaskTracker::new(), CancellationToken::new());
        let metrics = Metrics::new();
        let readiness = Readiness::of(concat!("signet-ca ", env!("CARGO_PKG_VERSION")));
        let conditions = Conditions::new(&readiness, config.development);

        // Before a first start makes a root, which no other configuration might be able to use.
        let (listener, grpc) = served(config.listen.bind_grpc()?)?;
        let (operations_listener, operations) = served(config.listen.bind_operations()?)?;
        let store = open_store(&config, &*clock)?;
        let audit = open_audit(&config, Arc::clone(&clock))?;
        // From here on an operator can see what is waited for.
        tasks.spawn(operations::serve(
            operations_listener,
            measured,
            readiness.clone(),
            stop_operations.clone(),
        ));
        let signing =
            Signing { config: &config, audit: &audit, clock: &clock, readiness, tasks: &tasks, stop: &stop };
        let authority = signing.start(store).await?;
        let certificate = serving_certificate(&config, &authority, &clock, &tasks, &stop).await?;
        let tls = Arc::new(tls::server_config(certificate)?);

        let authentication = authentication(&config, &clock, &metrics, &tasks, &stop).await?;
        let admission = Admission::new(config.limits.admission);
        let policy = config.issuing.policy;
        let issuance = Issuance::new(Arc::clone(&authentication), policy, authority.clone(), audit.clone());
        let service = CertificateService::new(admission.clone(), issuance, metrics.clone());
        let trust_bundle = TrustBundleService::new(authority.clone(), metrics.clone());
        let (services, health) = services(service, trust_bundle, config.limits.max_message_bytes).await?;

        let cores = Cores::start(config.listen.cores, "serving").context("cannot start the serving cores")?;
        let (limits, capacity) = (config.limits.connection, config.limits.capacity);
        let server = Server::new(services, limits, capacity, cores.clone(), "signet_ca");
        let until = stop.clone();
        tasks.spawn(async move { server.serve_tls(listener, tls, until).await });

        let observed =
            Observed { authentication, authority: authority.clone(), audit, admission, metrics, clock };
        tasks.spawn(conditions.observe(observed, stop.clone()));
        tracing::info!(%grpc, %operations, "serving");
        let grace = limits.grace();
        Ok(Self { grpc, operations, authority, health, cores, grace, tasks, stop, stop_operations })
    }

    /// Where the certificate service is: the port that was bound, if the configured one was 0.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Where metrics and probes are.
    pub fn operations(&self) -> SocketAddr {
        self.operations
    }

    /// Serves until the token that it was started with is cancelled, then drains: nothing more is accepted,
    /// requests finish within their grace, then the issuances that clients left behind within two seconds,
    /// then the cores that both ran on. The operations port ends last, so that an orchestrator can watch.
    pub async fn run(self) {
        self.stop.cancelled().await;
        self.health.draining().await;
        let _elapsed = timeout(self.grace, self.connections_ended()).await;
        let abandoned_issuances = self.authority.drain(ISSUANCE_GRACE).await;
        let abandoned_connections = self.cores.drain(Duration::ZERO).await;
        self.stop_operations.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        tracing::info!(abandoned_connections, abandoned_issuances, "stopped");
    }

    async fn connections_ended(&self) {
        while self.cores.connections() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn open_store(config: &Config, clock: &dyn Clock) -> Result<DirectoryStore> {
    let settings = StoreSettings {
        directory: config.state.directory.clone(),
        trust_domain: config.identity.trust_domain.clone(),
        origin: config.authority.kind,
    };
    DirectoryStore::open(&settings, clock.now()).context("cannot open the state")
}

fn open_audit(config: &Config, clock: Arc<dyn Clock>) -> Result<AuditLog> {
    let AuditConfig { path, fsync } = config.audit.clone();
    let durability = if fsync { Durability::Disk } else { Durability::OperatingSystem };
    let max_waiting = config.limits.max_waiting_audit_records;
    Ok(AuditLog::open(AuditSettings { path, durability, max_waiting }, clock)?)
}

/// What handshakes show, and the task that keeps it fresh.
async fn serving_certificate(
    config: &Config,
    authority: &Authority,
    clock: &Arc<dyn Clock>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Arc<ServingCertificate>> {
    if let Some(files) = &config.serving {
        let serving =
            FileServing::start(files.clone(), config.identity.dns_names.clone(), Arc::clone(clock))?;
        let certificate = serving.certificate();
        tasks.spawn(serving.run(stop.clone()));
        return Ok(certificate);
    }
    let names =
        ServingNames { dns_names: config.identity.dns_names.clone(), lifetime: SERVING_CERTIFICATE_LIFETIME };
    let started = ServingCertificateRenewer::start_at_last(authority.clone(), names, Arc::clone(clock));
    let started = stop.run_until_cancelled(started).await;
    let renewer = started.context("stopped before the CA had a certificate of its own")??;
    let certificate = renewer.certificate();
    tasks.spawn(renewer.run(stop.clone()));
    Ok(certificate)
}

async fn authentication(
    config: &Config,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Arc<Authentication>> {
    let (authentication, refreshers) = Authentication::new(
        config.issuers.clone(),
        &config.identity.trust_domain,
        config.development,
        Arc::clone(clock),
        metrics.clone(),
    );
    for mut refresher in refreshers {
        refresher.start().await.context("cannot load the keys of an issuer")?;
        tasks.spawn(refresher.run(stop.clone()));
    }
    Ok(Arc::new(authentication))
}

fn served(listener: std::net::TcpListener) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// An issuance has no client to wait for, only the signer and the audit log.
const ISSUANCE_GRACE: Duration = Duration::from_secs(2);

/// Of the CA's own certificate, which renews itself at half of it.
pub(crate) const SERVING_CERTIFICATE_LIFETIME: Duration = Duration::from_secs(24 * 3600);
