//! Asking an agent for secrets as a proxy does: SDS v3 over a Unix socket.

mod push;
mod streams;

use std::{
    io,
    path::{Path, PathBuf},
};

use http::{HeaderMap, Uri};
use prost::DecodeError;
use signet_proto::envoy::service::secret::v3::secret_discovery_service_client::SecretDiscoveryServiceClient;
use tokio::{net::UnixStream, task::JoinSet};
use tonic::{
    Request, Status,
    metadata::{AsciiMetadataKey, BinaryMetadataKey, MetadataMap, MetadataValue},
};

use crate::{
    Token,
    http2::{self, Sender},
};
pub use push::{Push, PushedSecret};
use streams::first_request;
pub use streams::{DeltaStream, SecretStream};

/// What the streams speak through.
type Stub = SecretDiscoveryServiceClient<Sender>;

/// A connection to an agent. Dropping it cuts its streams.
#[derive(Debug)]
pub struct SdsClient {
    stub: Stub,
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
        let stub = Stub::with_origin(sender, Uri::from_static("http://localhost"));
        Ok(Self { stub, _connection: driver })
    }

    /// Opens `StreamSecrets` and subscribes to the names.
    pub async fn stream(&self, names: &[&str], credentials: &[Credential]) -> Result<SecretStream, SdsError> {
        SecretStream::open(self.stub.clone(), names, credentials).await
    }

    /// Opens `DeltaSecrets` and subscribes to the names.
    pub async fn delta(&self, names: &[&str], credentials: &[Credential]) -> Result<DeltaStream, SdsError> {
        DeltaStream::open(self.stub.clone(), names, credentials).await
    }

    /// Calls `FetchSecrets`.
    pub async fn fetch(&self, names: &[&str], credentials: &[Credential]) -> Result<Push, SdsError> {
        let mut request = Request::new(first_request(names));
        present(credentials, request.metadata_mut())?;
        Push::from_sotw(self.stub.clone().fetch_secrets(request).await?.into_inner())
    }
}

impl Credential {
    /// Puts it under its header, as gRPC does.
    ///
    /// # Errors
    /// [`SdsError::Header`].
    pub fn present(&self, headers: &mut HeaderMap) -> Result<(), SdsError> {
        let mut metadata = MetadataMap::from_headers(std::mem::take(headers));
        let added = self.add(&mut metadata);
        *headers = metadata.into_headers();
        added
    }

    fn add(&self, metadata: &mut MetadataMap) -> Result<(), SdsError> {
        let illegal = || SdsError::Header { name: self.header.clone() };
        if self.header.ends_with("-bin") {
            let key = BinaryMetadataKey::from_bytes(self.header.as_bytes()).map_err(|_| illegal())?;
            metadata.append_bin(key, MetadataValue::from_bytes(self.token.text().as_bytes()));
        } else {
            let key = AsciiMetadataKey::from_bytes(self.header.as_bytes()).map_err(|_| illegal())?;
            let bare = MetadataValue::try_from(self.token.text()).map_err(|_| illegal())?;
            metadata.append(key, if self.header == "authorization" { self.token.bearer() } else { bare });
        }
        Ok(())
    }
}

fn present(credentials: &[Credential], metadata: &mut MetadataMap) -> Result<(), SdsError> {
    credentials.iter().try_for_each(|credential| credential.add(metadata))
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

#[cfg(test)]
mod tests;
