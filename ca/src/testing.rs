//! What tests of this crate share: a token issuer on a real socket and in a file.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use signet_backends::Assembler;
use signet_identity::{
    Clock, Pod, PrivateKey, TrustBundle,
    jwt::{DevelopmentIssuer, TokenRequest},
};
use signet_runtime::tls;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    audit::AuditLog,
    authority::{Active, Authority, AuthorityError, Standing},
};

/// An authority that signs by `assembler`, and nobody takes its place.
pub(crate) async fn authority(
    assembler: Assembler,
    bundle: TrustBundle,
    audit: AuditLog,
    clock: Arc<dyn Clock>,
) -> Result<Authority, AuthorityError> {
    let active = Active::here(assembler, bundle.clone(), clock.now()).await?;
    Ok(Authority::new(Standing::new(Some(active), bundle), audit, clock))
}

pub(crate) const ISSUER: &str = "https://issuer.example";

/// A development issuer with a key of its own.
pub(crate) fn issuer() -> DevelopmentIssuer {
    issuer_named(ISSUER)
}

pub(crate) fn issuer_named(name: &str) -> DevelopmentIssuer {
    DevelopmentIssuer::new(PrivateKey::generate().unwrap(), name.to_owned())
}

/// What a token of `web` in `default` says.
pub(crate) fn web() -> TokenRequest {
    TokenRequest {
        namespace: "default".to_owned(),
        service_account: "web".to_owned(),
        audiences: vec!["istio-ca".to_owned()],
        lifetime: Duration::from_secs(3600),
        pod: Pod::default(),
    }
}

/// A token of `web`, minted at `now`.
pub(crate) fn token(issuer: &DevelopmentIssuer, now: SystemTime) -> String {
    issuer.mint(&web(), now).unwrap()
}

/// A JWKS file that can be swapped as Kubernetes does it: the path is a link through `..data`.
pub(crate) struct KeyFile {
    directory: TempDir,
    versions: AtomicUsize,
}

impl KeyFile {
    pub(crate) fn of(issuer: &DevelopmentIssuer) -> Self {
        let file = Self { directory: tempfile::tempdir().unwrap(), versions: AtomicUsize::new(0) };
        std::os::unix::fs::symlink("..data/jwks.json", file.path()).unwrap();
        file.swap(&issuer.jwks_json());
        file
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("jwks.json")
    }

    pub(crate) fn swap(&self, content: &str) {
        let at = |name: &str| self.directory.path().join(name);
        let version = at(&format!("..v{}", self.versions.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir(&version).unwrap();
        std::fs::write(version.join("jwks.json"), content).unwrap();
        std::os::unix::fs::symlink(&version, at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    }
}

/// An HTTP server on this machine that gives every path the same answer until it is told another.
pub(crate) struct HttpServer {
    pub(crate) base: String,
    answer: Arc<Mutex<String>>,
    requests: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl HttpServer {
    pub(crate) async fn start(body: &str) -> Self {
        Self::serve("http://127.0.0.1", body, None).await
    }

    /// The same over TLS, as `localhost`; the second value is the PEM of its self-signed certificate.
    pub(crate) async fn start_tls(body: &str) -> (Self, String) {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![pair.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        (Self::serve("https://localhost", body, Some(acceptor)).await, pair.cert.pem())
    }

    async fn serve(host: &str, body: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("{host}:{}", listener.local_addr().unwrap().port());
        let answer = Arc::new(Mutex::new(ok(body)));
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let (answers, log) = (Arc::clone(&answer), Arc::clone(&requests));
        #[allow(clippy::disallowed_methods, reason = "aborted when the server is dropped")]
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answers.lock().unwrap().clone();
                let _broken = match &tls {
                    None => serve_one(stream, &answer, &log).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => serve_one(stream, &answer, &log).await,
                        Err(refused) => Err(refused),
                    },
                };
            }
        });
        Self { base, answer, requests, serving }
    }

    pub(crate) fn answer_with(&self, response: String) {
        *self.answer.lock().unwrap() = response;
    }

    /// The head of every request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A whole response with this body.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

async fn serve_one<S>(mut stream: S, answer: &str, log: &Mutex<Vec<String>>) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    log.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
