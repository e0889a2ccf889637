//! A CA on a real socket that does what a test tells it to.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use signet_proto::{
    istio::v1::auth::{
        IstioCertificateRequest, IstioCertificateResponse,
        istio_certificate_service_server::{IstioCertificateService, IstioCertificateServiceServer},
    },
    signet::v1::{
        GetTrustBundleRequest, GetTrustBundleResponse,
        trust_bundle_service_server::{TrustBundleService, TrustBundleServiceServer},
    },
};
use signet_runtime::testing::eventually;
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tonic::{Request, Response, Status, async_trait, metadata::MetadataMap, service::Routes};
use tower::{ServiceExt, util::BoxCloneSyncService};

/// A root, and server certificates under it.
pub(super) struct Pki {
    root: CertifiedIssuer<'static, KeyPair>,
}

/// A chain and its key.
pub(super) struct Serving {
    pub(super) chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Pki {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self { root: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub(super) fn root_pem(&self) -> String {
        self.root.pem()
    }

    pub(super) fn serving(&self, dns_name: &str, uris: &[&str]) -> Serving {
        self.serving_until(dns_name, uris, 4000)
    }

    /// Valid to the first of January of `year`.
    pub(super) fn serving_until(&self, dns_name: &str, uris: &[&str], year: i32) -> Serving {
        let mut params = CertificateParams::new(vec![dns_name.to_owned()]).unwrap();
        for &uri in uris {
            params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        }
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.root).unwrap();
        Serving { chain: vec![certificate.into()], key: key.serialize_der().try_into().unwrap() }
    }
}

/// What the server does with a call.
#[derive(Clone)]
pub(super) enum Reply {
    /// These elements.
    Chain(Vec<String>),
    /// A status.
    Status(Status),
    /// Nothing, for ever.
    Silence,
    /// The elements, once the word is given.
    OnceTold(watch::Receiver<bool>, Vec<String>),
}

/// What the server does when it is asked for its roots alone.
#[derive(Clone)]
pub(super) enum BundleReply {
    /// It does not know the service.
    NotServed,
    /// This.
    Told(GetTrustBundleResponse),
    /// A status.
    Status(Status),
    /// Nothing, for ever.
    Silence,
}

/// A running CA. Dropping it cuts everything.
pub(super) struct TestServer {
    pub(super) address: SocketAddr,
    shared: Shared,
    age_over: watch::Sender<u32>,
    _serving: JoinSet<()>,
}

#[derive(Clone)]
struct Shared {
    reply: Arc<Mutex<Reply>>,
    bundle: Arc<Mutex<BundleReply>>,
    seen: Arc<Mutex<Seen>>,
}

/// What arrived.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) connections: usize,
    pub(super) calls: Vec<(MetadataMap, IstioCertificateRequest)>,
    pub(super) bundle_calls: Vec<MetadataMap>,
    /// Streams that are still to be refused.
    refusing: usize,
}

impl TestServer {
    pub(super) async fn start(serving: Serving, reply: Reply) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), serving, reply).await
    }

    pub(super) async fn start_at(address: SocketAddr, serving: Serving, reply: Reply) -> Self {
        // Another test may have been given the port for a moment.
        let listener = eventually("the port is free", async || TcpListener::bind(address).await.ok()).await;
        let address = listener.local_addr().unwrap();
        let shared = Shared {
            reply: Arc::new(Mutex::new(reply)),
            bundle: Arc::new(Mutex::new(BundleReply::NotServed)),
            seen: Arc::default(),
        };
        let age_over = watch::Sender::new(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, acceptor(serving), shared.clone(), age_over.subscribe()));
        Self { address, shared, age_over, _serving: tasks }
    }

    /// Sends GOAWAY on every connection, as at the end of its age.
    pub(super) fn go_away(&self) {
        self.age_over.send_modify(|round| *round += 1);
    }

    /// Answers the next streams with REFUSED_STREAM.
    pub(super) fn refuse_streams(&self, count: usize) {
        self.shared.seen.lock().unwrap().refusing = count;
    }

    pub(super) fn reply(&self, reply: Reply) {
        *self.shared.reply.lock().unwrap() = reply;
    }

    /// Whether the service is served at all is decided when a connection comes.
    pub(super) fn tell_bundle(&self, reply: BundleReply) {
        *self.shared.bundle.lock().unwrap() = reply;
    }

    pub(super) fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.shared.seen.lock().unwrap())
    }
}

fn acceptor(serving: Serving) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(serving.chain, serving.key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, shared: Shared, age_over: watch::Receiver<u32>) {
    let mut connections = JoinSet::new();
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        connections.spawn(serve(tcp, tls.clone(), shared.clone(), age_over.clone()));
    }
}

async fn serve(tcp: TcpStream, tls: TlsAcceptor, shared: Shared, mut age_over: watch::Receiver<u32>) {
    age_over.mark_unchanged();
    let Ok(tls) = tls.accept(tcp).await else { return };
    shared.seen.lock().unwrap().connections += 1;
    let seen = Arc::clone(&shared.seen);
    let mut routes = Routes::new(IstioCertificateServiceServer::new(shared.clone()));
    if !matches!(*shared.bundle.lock().unwrap(), BundleReply::NotServed) {
        routes = routes.add_service(TrustBundleServiceServer::new(shared));
    }
    let routes = routes.prepare();
    let service = BoxCloneSyncService::new(tower::service_fn(move |request| {
        let (routes, seen) = (routes.clone(), Arc::clone(&seen));
        async move {
            let refused = {
                let mut seen = seen.lock().unwrap();
                let refused = seen.refusing > 0;
                seen.refusing = seen.refusing.saturating_sub(1);
                refused
            };
            if refused {
                return Err(h2::Error::from(h2::Reason::REFUSED_STREAM));
            }
            Ok(routes.oneshot(request).await.unwrap())
        }
    }));
    let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let mut connection =
        std::pin::pin!(http2.serve_connection(TokioIo::new(tls), TowerToHyperService::new(service)));
    select! {
        _ = connection.as_mut() => return,
        _ = age_over.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(connection.await);
}

#[async_trait]
impl IstioCertificateService for Shared {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        self.seen.lock().unwrap().calls.push((metadata, message));
        let reply = self.reply.lock().unwrap().clone();
        let cert_chain = match reply {
            Reply::Chain(elements) => elements,
            Reply::Status(status) => return Err(status),
            Reply::Silence => std::future::pending().await,
            Reply::OnceTold(mut told, elements) => {
                told.wait_for(|&told| told).await.unwrap();
                elements
            }
        };
        Ok(Response::new(IstioCertificateResponse { cert_chain }))
    }
}

#[async_trait]
impl TrustBundleService for Shared {
    async fn get_trust_bundle(
        &self,
        request: Request<GetTrustBundleRequest>,
    ) -> Result<Response<GetTrustBundleResponse>, Status> {
        self.seen.lock().unwrap().bundle_calls.push(request.into_parts().0);
        let reply = self.bundle.lock().unwrap().clone();
        match reply {
            BundleReply::Told(response) => Ok(Response::new(response)),
            BundleReply::Status(status) => Err(status),
            BundleReply::Silence | BundleReply::NotServed => std::future::pending().await,
        }
    }
}
