//! One bounded document, by HTTP or from a file: how discovery documents and key sets get here.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, StatusCode, Url, redirect::Policy};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use signet_identity::jwt::MAX_JWKS_BYTES;
use signet_runtime::tls;

/// From dialling to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Largest document that is read, whatever it is: discovery documents and authority files are no larger.
const MAX_DOCUMENT_BYTES: usize = MAX_JWKS_BYTES;

/// What a fetcher keeps from one fetch to the next: making it takes the authorities of the operating system.
#[derive(Debug, Default)]
pub(super) struct HttpClient(Option<Made>);

/// A client, and the content of the `ca_file` that it trusts.
#[derive(Debug)]
struct Made {
    anchors: Option<String>,
    client: Client,
}

/// How a fetch trusts the server and shows who is asking.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetcher {
    /// PEM of the authorities that the server's certificate must chain to; without it, those of the operating
    /// system.
    pub ca_file: Option<PathBuf>,
    /// A bearer token to send along (the Kubernetes API server wants one). It goes by https to servers under
    /// `ca_file` and to no other, wherever a discovery document points.
    pub bearer_token_file: Option<PathBuf>,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A file cannot be read.
    #[error("cannot read {}: it must exist and be readable for the user of this process", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No certificate in the authority file.
    #[error("{} holds no certificate; want PEM blocks of `CERTIFICATE`", path.display())]
    NoAnchor {
        /// The `ca_file`.
        path: PathBuf,
    },
    /// rustls refuses what we ask of it.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// The HTTP client could not be made.
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
    /// No answer, or half of one.
    #[error(
        "cannot fetch {url}; check the address, and `ca_file` if the server's authority is not one of the operating system"
    )]
    Request {
        /// What was asked for.
        url: String,
        /// Why there is no answer, without the URL.
        source: reqwest::Error,
    },
    /// An answer that is no document. Redirects count as that.
    #[error(
        "{url} answered with HTTP status {status}; if the server wants a token, set `bearer_token_file` and `ca_file`: it is sent by https only"
    )]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
    },
    /// A document over the limit.
    #[error("{origin} is longer than {MAX_DOCUMENT_BYTES} bytes")]
    TooLong {
        /// File or URL.
        origin: String,
    },
}

impl Fetcher {
    /// The document at `url`. Redirects are not followed. Authority and token files are read anew each time,
    /// since clusters rotate both. `client` is made anew when the `ca_file` has changed, and after a failure:
    /// the authorities of the operating system may have been incomplete when it was made.
    pub(super) async fn get(&self, client: &mut HttpClient, url: &Url) -> Result<Vec<u8>, FetchError> {
        let fetched = self.get_by(client, url).await;
        if fetched.is_err() {
            *client = HttpClient::default();
        }
        fetched
    }

    async fn get_by(&self, client: &mut HttpClient, url: &Url) -> Result<Vec<u8>, FetchError> {
        let failed = |source: reqwest::Error| FetchError::Request {
            url: url.to_string(),
            source: source.without_url(),
        };
        let mut request = client.under(self)?.get(url.clone());
        if url.scheme() == "https"
            && self.ca_file.is_some()
            && let Some(token) = self.bearer_token()?
        {
            request = request.bearer_auth(token.trim());
        }
        let mut response = request.send().await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status { url: url.to_string(), status: response.status().as_u16() });
        }
        let mut document = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if document.len() + chunk.len() > MAX_DOCUMENT_BYTES {
                return Err(FetchError::TooLong { origin: url.to_string() });
            }
            document.extend_from_slice(&chunk);
        }
        Ok(document)
    }

    /// What is wrong with the files that a fetch needs, each with its key of the configuration.
    pub(super) fn judge_files(&self) -> Vec<(&'static str, FetchError)> {
        let anchors = self
            .ca_file_pem()
            .and_then(|pem| self.anchors(pem.as_deref()))
            .err()
            .map(|error| ("ca_file", error));
        let token = self.bearer_token().err().map(|error| ("bearer_token_file", error));
        anchors.into_iter().chain(token).collect()
    }

    fn bearer_token(&self) -> Result<Option<String>, FetchError> {
        self.bearer_token_file.as_deref().map(read_text).transpose()
    }

    fn ca_file_pem(&self) -> Result<Option<String>, FetchError> {
        self.ca_file.as_deref().map(read_text).transpose()
    }

    /// Those of the operating system without a `ca_file`. What does not parse is left out, as every operating
    /// system's store has such.
    fn anchors(&self, ca_file_pem: Option<&str>) -> Result<RootCertStore, FetchError> {
        let mut anchors = RootCertStore::empty();
        let Some((path, pem)) = self.ca_file.as_ref().zip(ca_file_pem) else {
            anchors.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(anchors);
        };
        anchors
            .add_parsable_certificates(CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok));
        if anchors.is_empty() {
            return Err(FetchError::NoAnchor { path: path.clone() });
        }
        Ok(anchors)
    }
}

impl HttpClient {
    /// A client that trusts what `fetcher` says now.
    fn under(&mut self, fetcher: &Fetcher) -> Result<Client, FetchError> {
        let anchors = fetcher.ca_file_pem()?;
        if let Some(made) = self.0.as_ref().filter(|made| made.anchors == anchors) {
            return Ok(made.client.clone());
        }
        let client = client(fetcher.anchors(anchors.as_deref())?)?;
        self.0 = Some(Made { anchors, client: client.clone() });
        Ok(client)
    }
}

fn client(anchors: RootCertStore) -> Result<Client, FetchError> {
    let tls = ClientConfig::builder_with_provider(tls::provider());
    let tls = tls.with_safe_default_protocol_versions().map_err(FetchError::Tls)?;
    Client::builder()
        .tls_backend_preconfigured(tls.with_root_certificates(anchors).with_no_client_auth())
        .redirect(Policy::none())
        .no_proxy()
        .timeout(TIMEOUT)
        .user_agent(concat!("signet-ca/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(FetchError::Client)
}

pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, FetchError> {
    let failed = |source| FetchError::File { path: path.to_owned(), source };
    let mut content = Vec::new();
    let limit = MAX_DOCUMENT_BYTES as u64 + 1;
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut content)).map_err(failed)?;
    if content.len() > MAX_DOCUMENT_BYTES {
        return Err(FetchError::TooLong { origin: path.display().to_string() });
    }
    Ok(content)
}

fn read_text(path: &Path) -> Result<String, FetchError> {
    let failed = |source| FetchError::File { path: path.to_owned(), source };
    String::from_utf8(read_file(path)?)
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))
}
