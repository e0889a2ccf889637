//! One HTTP exchange with one address of Vault's.

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{Client, Method, Url, header::HeaderValue, redirect::Policy};
use rustify::enums::RequestMethod;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use signet_runtime::tls;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::{
    VaultConfig, VaultError, VaultFileError,
    answer::Raw,
    files::{read_secret, read_text},
    request::Request,
};

/// An HTTP/1.1 client that trusts what the configuration pins, follows nothing, and goes through no proxy.
#[derive(Clone)]
pub(super) struct Transport {
    client: Client,
    namespace: Option<HeaderValue>,
    timeout: Duration,
    /// What TLS was set up with: it is set up anew when the files hold something else.
    files: Arc<Files>,
}

/// The content of the files that TLS needs.
#[derive(PartialEq)]
struct Files {
    anchors: Option<String>,
    certificate: Option<(String, Zeroizing<String>)>,
}

impl Transport {
    /// By the files as they are now.
    pub(super) fn new(config: &VaultConfig) -> Result<Self, VaultError> {
        let files = Files::read(config)?;
        let client = Client::builder()
            .tls_backend_preconfigured(files.tls(config)?)
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(config.concurrency)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("signet/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| VaultError::Unreachable {
                address: config.first_address(),
                source: Arc::new(source),
            })?;
        let namespace = config.namespace.as_deref().and_then(|name| HeaderValue::from_str(name).ok());
        Ok(Self { client, namespace, timeout: config.timeout, files: Arc::new(files) })
    }

    /// The same by the files as they are now, if they have changed.
    pub(super) fn refreshed(&self, config: &VaultConfig) -> Result<Option<Self>, VaultError> {
        if *self.files == Files::read(config)? { Ok(None) } else { Self::new(config).map(Some) }
    }

    /// Sends `request` to `address`, which ends in a slash, and reads the whole answer.
    pub(super) async fn exchange(
        &self,
        address: &Url,
        request: &Request,
        token: Option<&str>,
        deadline: Instant,
    ) -> Result<Raw, VaultError> {
        let began = Instant::now();
        let until = deadline.min(began + self.timeout);
        let answer = timeout_at(until, self.whole(address, request, token)).await;
        answer.unwrap_or_else(|_| {
            Err(VaultError::TimedOut { address: address.to_string(), after: until.duration_since(began) })
        })
    }

    async fn whole(&self, address: &Url, request: &Request, token: Option<&str>) -> Result<Raw, VaultError> {
        let url = format!("{address}v1/{}", request.path);
        let mut sent = self.client.request(method(&request.method), url).header("x-vault-request", "true");
        if let Some(namespace) = &self.namespace {
            sent = sent.header("x-vault-namespace", namespace);
        }
        if let Some(token) = token.and_then(|token| HeaderValue::from_str(token).ok()) {
            sent = sent.header("x-vault-token", sensitive(token));
        }
        if !request.body.is_empty() {
            sent =
                sent.header("content-type", "application/json").body(Bytes::from_owner(request.body.clone()));
        }
        let failed = |error: reqwest::Error| error_of(address, error.without_url());
        let mut response = sent.send().await.map_err(failed)?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = Zeroizing::new(Vec::with_capacity(USUAL_ANSWER_BYTES));
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                let reason = format!("it is longer than {MAX_ANSWER_BYTES} bytes");
                return Err(VaultError::Nonsense { path: request.path.clone(), reason });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Raw { status, headers, body })
    }
}

impl Files {
    fn read(config: &VaultConfig) -> Result<Self, VaultFileError> {
        let anchors = config.ca_file.as_deref().map(read_text).transpose()?;
        let certificate = match &config.client_certificate {
            Some((certificate, key)) => Some((read_text(certificate)?, read_secret(key)?)),
            None => None,
        };
        Ok(Self { anchors, certificate })
    }

    fn tls(&self, config: &VaultConfig) -> Result<ClientConfig, VaultError> {
        let no_tls = |reason: String| VaultError::NotTrusted { address: config.first_address(), reason };
        let tls = ClientConfig::builder_with_provider(tls::provider());
        let tls = tls.with_safe_default_protocol_versions().map_err(|error| no_tls(error.to_string()))?;
        let tls = tls.with_root_certificates(self.anchors(config)?);
        let (Some((certificate, key)), Some((path, key_path))) =
            (&self.certificate, &config.client_certificate)
        else {
            return Ok(tls.with_no_client_auth());
        };
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(certificate.as_bytes()).filter_map(Result::ok).collect();
        if chain.is_empty() {
            return Err(VaultFileError::Content { path: path.clone(), want: "certificate in PEM" }.into());
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|_| VaultFileError::Content { path: key_path.clone(), want: "private key in PEM" })?;
        Ok(tls
            .with_client_auth_cert(chain, key)
            .map_err(|error| VaultFileError::Tls { path: key_path.clone(), reason: error.to_string() })?)
    }

    /// Those of the operating system only without a `ca_file`: a pin is a pin.
    fn anchors(&self, config: &VaultConfig) -> Result<RootCertStore, VaultFileError> {
        let Some((pem, path)) = self.anchors.as_ref().zip(config.ca_file.as_ref()) else {
            let mut anchors = RootCertStore::empty();
            anchors.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(anchors);
        };
        pinned(pem, path)
    }
}

/// What is wrong with a `ca_file`, if anything is.
pub(super) fn judge_anchors(path: &Path) -> Result<(), VaultFileError> {
    pinned(&read_text(path)?, path).map(drop)
}

fn pinned(pem: &str, path: &Path) -> Result<RootCertStore, VaultFileError> {
    let mut anchors = RootCertStore::empty();
    anchors.add_parsable_certificates(CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok));
    if anchors.is_empty() {
        return Err(VaultFileError::Content { path: path.to_owned(), want: "certificate in PEM" });
    }
    Ok(anchors)
}

fn error_of(address: &Url, error: reqwest::Error) -> VaultError {
    let address = address.to_string();
    if let Some(reason) = distrust(&error) {
        return VaultError::NotTrusted { address, reason };
    }
    let source = Arc::new(error);
    if source.is_connect() {
        VaultError::Unreachable { address, source }
    } else {
        VaultError::Broken { address, source }
    }
}

/// What rustls has against the server's certificate, if that is what the connection died of.
fn distrust(error: &reqwest::Error) -> Option<String> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(fault)) = error.downcast_ref() {
            return Some(fault.to_string());
        }
        // An I/O error is no source of what it wraps, another I/O error as a rule.
        cause = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

fn method(method: &RequestMethod) -> Method {
    match method {
        RequestMethod::GET => Method::GET,
        RequestMethod::DELETE => Method::DELETE,
        RequestMethod::PUT => Method::PUT,
        _ => Method::POST,
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Shorter than any proxy's, so that a connection is not closed as it is used.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
const USUAL_ANSWER_BYTES: usize = 8 << 10;
/// A chain of ten large certificates takes 30 kB.
const MAX_ANSWER_BYTES: usize = 1 << 20;
