//! Asking an agent for secrets as a proxy does: SDS v3 over a Unix socket.

use std::{
    io,
    path::{Path, PathBuf},
};

use http::Uri;
use prost::{DecodeError, Message};
use signet_proto::{
    SECRET_TYPE_URL,
    envoy::{
        config::core::v3::Node,
        extensions::transport_sockets::tls::v3::Secret,
        service::{
            discovery::v3::{
                DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
            },
            secret::v3::secret_discovery_service_client::SecretDiscoveryServiceClient,
        },
    },
    google::rpc,
};
use tokio::{net::UnixStream, sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Status, Streaming,
    metadata::{AsciiMetadataKey, BinaryMetadataKey, MetadataMap, MetadataValue},
};

use crate::{
    Token,
    http2::{self, Sender},
};

/// A connection to an agent. Dropping it cuts its streams.
#[derive(Debug)]
pub struct SdsClient {
    stub: SecretDiscoveryServiceClient<Sender>,
    _connection: JoinSet<()>,
}

/// A token, and the header that it travels in.
#[derive(Debug, Clone)]
pub struct Credential {
    /// `istio_sds_credentials_header-bin` or another; the value is binary when the name ends in `-bin`.
    /// Under `authorization` it is `Bearer <token>`, under any other name the token alone.
    pub header: String,
    /// The credential.
    pub token: Token,
}

impl SdsClient {
    /// Connects to the agent's socket.
    pub async fn connect(socket: &Path) -> Result<Self, SdsError> {
        let stream = UnixStream::connect(socket)
            .await
            .map_err(|source| SdsError::Connect { socket: socket.to_owned(), source })?;
        let (sender, connection) = http2::handshake(stream).await.map_err(SdsError::Http2)?;
        let mut driver = JoinSet::new();
        driver.spawn(async move { drop(connection.await) });
        // What gRPC sends over a Unix socket; h2 refuses the path of the socket as an authority.
        let stub = SecretDiscoveryServiceClient::with_origin(sender, Uri::from_static("http://localhost"));
        Ok(Self { stub, _connection: driver })
    }

    /// Opens `StreamSecrets` and subscribes to the names.
    pub async fn stream(&self, names: &[&str], credentials: &[Credential]) -> Result<SecretStream, SdsError> {
        let (requests, outbox) = mpsc::channel(OUTBOX);
        let mut stream = Request::new(ReceiverStream::new(outbox));
        present(credentials, stream.metadata_mut())?;
        let subscription = SotwSubscription { names: owned(names), requests };
        subscription.send(DiscoveryRequest::default()).await;
        let responses = self.stub.clone().stream_secrets(stream).await?.into_inner();
        Ok(SecretStream { subscription, responses })
    }

    /// Opens `DeltaSecrets` and subscribes to the names.
    pub async fn delta(&self, names: &[&str], credentials: &[Credential]) -> Result<DeltaStream, SdsError> {
        let (requests, outbox) = mpsc::channel(OUTBOX);
        let mut stream = Request::new(ReceiverStream::new(outbox));
        present(credentials, stream.metadata_mut())?;
        let requests = DeltaRequests(requests);
        requests
            .send(DeltaDiscoveryRequest { resource_names_subscribe: owned(names), ..Default::default() })
            .await;
        let responses = self.stub.clone().delta_secrets(stream).await?.into_inner();
        Ok(DeltaStream { requests, responses })
    }

    /// Calls `FetchSecrets`.
    pub async fn fetch(&self, names: &[&str], credentials: &[Credential]) -> Result<Push, SdsError> {
        let mut request = Request::new(DiscoveryRequest {
            node: Some(node()),
            resource_names: owned(names),
            type_url: SECRET_TYPE_URL.to_owned(),
            ..Default::default()
        });
        present(credentials, request.metadata_mut())?;
        Push::from_sotw(self.stub.clone().fetch_secrets(request).await?.into_inner())
    }
}

/// Secrets as the agent sent them.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// Names this push in the answer to it.
    pub nonce: String,
    /// Version of the response (state of the world), or empty (delta).
    pub version: String,
    /// What came.
    pub secrets: Vec<PushedSecret>,
}

/// One secret of a push.
#[derive(Debug, Clone, PartialEq)]
pub struct PushedSecret {
    /// The name it was subscribed under.
    pub name: String,
    /// Its own version (delta), or that of the response.
    pub version: String,
    /// Key and chain, or trusted CA certificates.
    pub secret: Secret,
}

impl Push {
    fn from_sotw(response: DiscoveryResponse) -> Result<Self, SdsError> {
        let version = response.version_info;
        let secrets = response.resources.iter().map(|resource| {
            let secret = Secret::decode(resource.value.as_slice())?;
            Ok(PushedSecret { name: secret.name.clone(), version: version.clone(), secret })
        });
        let secrets = secrets.collect::<Result<_, DecodeError>>().map_err(SdsError::Malformed)?;
        Ok(Self { nonce: response.nonce, secrets, version })
    }

    fn from_delta(response: DeltaDiscoveryResponse) -> Result<Self, SdsError> {
        let secrets = response.resources.into_iter().map(|resource| {
            let secret = Secret::decode(resource.resource.unwrap_or_default().value.as_slice())?;
            Ok(PushedSecret { name: resource.name, version: resource.version, secret })
        });
        let secrets = secrets.collect::<Result<_, DecodeError>>().map_err(SdsError::Malformed)?;
        Ok(Self { nonce: response.nonce, secrets, version: String::new() })
    }
}

/// A `StreamSecrets` stream.
#[derive(Debug)]
pub struct SecretStream {
    subscription: SotwSubscription,
    responses: Streaming<DiscoveryResponse>,
}

#[derive(Debug)]
struct SotwSubscription {
    names: Vec<String>,
    requests: mpsc::Sender<DiscoveryRequest>,
}

impl SotwSubscription {
    /// A stream that is gone shows in the next push.
    async fn send(&self, request: DiscoveryRequest) {
        let request = DiscoveryRequest {
            node: Some(node()),
            resource_names: self.names.clone(),
            type_url: SECRET_TYPE_URL.to_owned(),
            ..request
        };
        drop(self.requests.send(request).await);
    }
}

impl SecretStream {
    /// The next push; `None` when the agent ended the stream with OK.
    pub async fn next(&mut self) -> Result<Option<Push>, SdsError> {
        self.responses.message().await?.map(Push::from_sotw).transpose()
    }

    /// Accepts a push.
    pub async fn ack(&self, push: &Push) {
        let (version_info, response_nonce) = (push.version.clone(), push.nonce.clone());
        self.subscription.send(DiscoveryRequest { version_info, response_nonce, ..Default::default() }).await;
    }

    /// Rejects a push and keeps `version`, the last accepted one (empty: none).
    pub async fn nack(&self, push: &Push, version: &str, reason: &str) {
        self.subscription
            .send(DiscoveryRequest {
                version_info: version.to_owned(),
                response_nonce: push.nonce.clone(),
                error_detail: Some(rejection(reason)),
                ..Default::default()
            })
            .await;
    }
}

/// A `DeltaSecrets` stream.
#[derive(Debug)]
pub struct DeltaStream {
    requests: DeltaRequests,
    responses: Streaming<DeltaDiscoveryResponse>,
}

#[derive(Debug)]
struct DeltaRequests(mpsc::Sender<DeltaDiscoveryRequest>);

impl DeltaRequests {
    /// A stream that is gone shows in the next push.
    async fn send(&self, request: DeltaDiscoveryRequest) {
        let request =
            DeltaDiscoveryRequest { node: Some(node()), type_url: SECRET_TYPE_URL.to_owned(), ..request };
        drop(self.0.send(request).await);
    }
}

impl DeltaStream {
    /// The next push; `None` when the agent ended the stream with OK.
    pub async fn next(&mut self) -> Result<Option<Push>, SdsError> {
        self.responses.message().await?.map(Push::from_delta).transpose()
    }

    /// Accepts a push.
    pub async fn ack(&self, push: &Push) {
        let response_nonce = push.nonce.clone();
        self.requests.send(DeltaDiscoveryRequest { response_nonce, ..Default::default() }).await;
    }

    /// Rejects a push.
    pub async fn nack(&self, push: &Push, reason: &str) {
        let (response_nonce, error_detail) = (push.nonce.clone(), Some(rejection(reason)));
        self.requests
            .send(DeltaDiscoveryRequest { response_nonce, error_detail, ..Default::default() })
            .await;
    }
}

/// Puts each credential under its header.
fn present(credentials: &[Credential], metadata: &mut MetadataMap) -> Result<(), SdsError> {
    for Credential { header, token } in credentials {
        let illegal = || SdsError::Header { name: header.clone() };
        if header.ends_with("-bin") {
            let key = BinaryMetadataKey::from_bytes(header.as_bytes()).map_err(|_| illegal())?;
            metadata.append_bin(key, MetadataValue::from_bytes(token.text().as_bytes()));
        } else {
            let key = AsciiMetadataKey::from_bytes(header.as_bytes()).map_err(|_| illegal())?;
            let bare = MetadataValue::try_from(token.text()).map_err(|_| illegal())?;
            metadata.append(key, if header == "authorization" { token.bearer() } else { bare });
        }
    }
    Ok(())
}

fn node() -> Node {
    Node { id: "signet".to_owned(), ..Default::default() }
}

fn rejection(reason: &str) -> rpc::Status {
    rpc::Status { code: Code::Internal as i32, message: reason.to_owned(), ..Default::default() }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SdsError {
    /// The name cannot be that of a header.
    #[error("`{name}` cannot be the name of a gRPC header; use lower case")]
    Header {
        /// As given.
        name: String,
    },
    /// Nobody listens on the socket.
    #[error("cannot connect to the agent's socket {}; check that the agent runs and that you may open it", socket.display())]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Whoever listens speaks no HTTP/2.
    #[error("no HTTP/2 on the agent's socket; check that it is a node agent's")]
    Http2(#[source] hyper::Error),
    /// The agent said no, or went away.
    #[error("the agent ended the stream: {:?} {}", .0.code(), .0.message())]
    Ended(Box<Status>),
    /// The agent sent what is no secret.
    #[error("the agent sent something that is no secret")]
    Malformed(#[source] DecodeError),
}

impl From<Status> for SdsError {
    fn from(status: Status) -> Self {
        Self::Ended(Box::new(status))
    }
}

/// Requests that wait to be sent. A client has one push to answer at a time.
const OUTBOX: usize = 4;

#[cfg(test)]
mod tests;
