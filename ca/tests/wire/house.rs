//! A CA in this process, on real sockets, with a token issuer and a client.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use signet_ca::{authn::DevelopmentKeys, config::Config, process::Process};
use signet_identity::{
    Clock, Pod, PrivateKey,
    jwt::{DevelopmentIssuer, TokenRequest},
};
use signet_proto::{
    istio::v1::auth::{
        IstioCertificateRequest, IstioCertificateResponse,
        istio_certificate_service_client::IstioCertificateServiceClient,
    },
    metadata::REQUEST_ID,
    signet::v1::{
        GetTrustBundleRequest, GetTrustBundleResponse, trust_bundle_service_client::TrustBundleServiceClient,
    },
};
use signet_runtime::{SystemClock, telemetry, testing};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status,
    transport::{Certificate, Channel, ClientTlsConfig},
};

pub(crate) const ISSUER: &str = "https://issuer.example";

/// A running CA and everything around it. Gone with its value.
pub(crate) struct House {
    pub(crate) issuer: DevelopmentIssuer,
    pub(crate) grpc: SocketAddr,
    pub(crate) operations: SocketAddr,
    pub(crate) stop: CancellationToken,
    directory: TempDir,
    running: Option<JoinHandle<()>>,
}

pub(crate) type Client = IstioCertificateServiceClient<Channel>;

impl House {
    pub(crate) async fn open() -> Self {
        Self::with("").await
    }

    /// With more configuration than the least.
    pub(crate) async fn with(configuration: &str) -> Self {
        Self::with_issuers(
            &format!("[[issuer]]\nurl = '{ISSUER}'\nleeway = '0s'\njwks_file = 'JWKS'"),
            configuration,
        )
        .await
    }

    /// With other issuers than its own; `JWKS` stands for the file of its keys.
    pub(crate) async fn with_issuers(issuers: &str, configuration: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let issuer = DevelopmentIssuer::new(PrivateKey::generate().unwrap(), ISSUER.to_owned());
        fs::write(directory.path().join("jwks.json"), issuer.jwks_json()).unwrap();
        let config = config(&directory, issuers, configuration);
        let stop = CancellationToken::new();
        let process = Process::start(config, measured(), Arc::new(SystemClock), stop.clone()).await.unwrap();
        let (grpc, operations) = (process.grpc(), process.operations());
        #[allow(clippy::disallowed_methods, reason = "ends with the house")]
        let running = Some(tokio::spawn(process.run()));
        Self { issuer, grpc, operations, stop, directory, running }
    }

    pub(crate) async fn client(&self) -> Client {
        IstioCertificateServiceClient::new(self.channel().await)
    }

    pub(crate) async fn channel(&self) -> Channel {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.root()))
            .domain_name("localhost");
        let endpoint = Channel::from_shared(format!("https://{}", self.grpc)).unwrap();
        endpoint.tls_config(tls).unwrap().connect().await.unwrap()
    }

    /// The exported trust bundle.
    pub(crate) fn root(&self) -> String {
        fs::read_to_string(self.path("state/root-cert.pem")).unwrap()
    }

    /// A good token of `web`.
    pub(crate) fn token(&self) -> String {
        self.mint(&web())
    }

    /// A token as of now.
    pub(crate) fn mint(&self, request: &TokenRequest) -> String {
        self.issuer.mint(request, SystemClock.now()).unwrap()
    }

    /// The answer to `web`'s own good token with this CSR.
    pub(crate) async fn ask(&self, csr: &str) -> Result<Response<IstioCertificateResponse>, Status> {
        self.client().await.create_certificate(request(&self.token(), csr, 0)).await
    }

    /// What it tells whoever asks for the roots.
    pub(crate) async fn bundle(&self) -> GetTrustBundleResponse {
        let mut client = TrustBundleServiceClient::new(self.channel().await);
        client.get_trust_bundle(GetTrustBundleRequest {}).await.unwrap().into_inner()
    }

    /// A file of the house.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Every line of the audit log about this request.
    pub(crate) fn audit(&self, request_id: &str) -> Vec<serde_json::Value> {
        let log = fs::read_to_string(self.path("state/audit.jsonl")).unwrap();
        let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.filter(|line| line["request_id"] == request_id).collect()
    }

    /// A page of the operations port, head and all.
    pub(crate) async fn page(&self, path: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(self.operations).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: ca\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).await.unwrap();
        page
    }

    /// Whether it is still there after `time`, whatever it was told.
    pub(crate) async fn outlasts(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.running.as_mut().unwrap()).await.is_err()
    }

    /// Stops the CA and waits until it is gone.
    pub(crate) async fn close(mut self) -> TempDir {
        self.stop.cancel();
        self.running.take().unwrap().await.unwrap();
        std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The configuration of a house in this directory.
fn config(directory: &TempDir, issuers: &str, more: &str) -> Config {
    let at = |name: &str| directory.path().join(name).display().to_string();
    let text = format!(
        "[listen]\ngrpc = '127.0.0.1:0'\noperations = '127.0.0.1:0'\ncores = 2\n\
         [state]\ndirectory = '{}'\n{more}\n{}\n",
        at("state"),
        issuers.replace("JWKS", &at("jwks.json")),
    );
    fs::write(at("ca.toml"), text).unwrap();
    Config::load(Some(at("ca.toml").as_ref()), DevelopmentKeys::Accepted, &SystemClock).unwrap()
}

/// A page of the operations port, as soon as it says so.
pub(crate) async fn eventually(house: &House, path: &str, text: &str) -> String {
    testing::eventually(text, async || Some(house.page(path).await).filter(|page| page.contains(text))).await
}

/// What a token of `web` in `default` says.
pub(crate) fn web() -> TokenRequest {
    TokenRequest {
        namespace: "default".to_owned(),
        service_account: "web".to_owned(),
        audiences: vec!["istio-ca".to_owned()],
        lifetime: Duration::from_secs(3600),
        pod: Pod { name: Some("web-0".to_owned()), ..Pod::default() },
    }
}

/// A request as Istio's clients make it.
pub(crate) fn request(token: &str, csr: &str, validity_duration: i64) -> Request<IstioCertificateRequest> {
    let mut request = Request::new(IstioCertificateRequest {
        csr: csr.to_owned(),
        validity_duration,
        ..IstioCertificateRequest::default()
    });
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// The request id that an answer or a refusal carries.
pub(crate) fn request_id(metadata: &tonic::metadata::MetadataMap) -> String {
    metadata.get(REQUEST_ID).expect("a request id").to_str().unwrap().to_owned()
}

/// Metrics and logs are installed once in a process.
fn measured() -> telemetry::Metrics {
    static MEASURED: OnceLock<telemetry::Metrics> = OnceLock::new();
    MEASURED
        .get_or_init(|| {
            let logs =
                tracing_subscriber::fmt().json().with_writer(|| Log).with_max_level(tracing::Level::INFO);
            logs.init();
            telemetry::install_metrics().unwrap()
        })
        .clone()
}

/// What the CAs of all tests have logged about this request.
pub(crate) fn logged(request_id: &str) -> Vec<String> {
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    log.lines().filter(|line| line.contains(request_id)).map(str::to_owned).collect()
}

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
