//! The gRPC edge of SDS: the only place that knows tonic's requests.

use std::{path::Path, sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use signet_proto::envoy::service::{
    discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse},
    secret::v3::secret_discovery_service_server::{SecretDiscoveryService, SecretDiscoveryServiceServer},
};
use signet_runtime::peer::Peer;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::{Extensions, Request, Response, Status, Streaming, metadata::MetadataMap};

use super::{
    interest::Asker,
    peers::{Connection, Peers, Seat},
    protocol::{Delta, Protocol, StateOfTheWorld},
    refusal::Refusals,
    stream::SecretStream,
};
use crate::{
    metrics,
    secret_cache::{Credential, SecretCache},
    workload::token::{IdentitySource, stream_token},
};

/// SDS on one socket, whose workloads prove themselves in one way and no other.
#[derive(Debug, Clone)]
pub struct SdsService {
    source: Source,
    cache: SecretCache,
    peers: Peers,
    refusals: Refusals,
    stop: CancellationToken,
}

#[derive(Debug, Clone)]
enum Source {
    StreamToken,
    TokenFile(Arc<Path>),
}

/// What a stream is answered with.
type Responses<T> = BoxStream<'static, Result<T, Status>>;

impl SdsService {
    /// The service of a socket. `peers` is shared by all sockets of the node.
    pub fn new(source: &IdentitySource, cache: SecretCache, peers: Peers) -> Self {
        let source = match source {
            IdentitySource::StreamToken => Source::StreamToken,
            IdentitySource::TokenFile(path) => Source::TokenFile(path.as_path().into()),
        };
        Self { source, cache, peers, refusals: Refusals::new(), stop: CancellationToken::new() }
    }

    /// Ends every stream with OK once `stop` is cancelled. Proxies keep what they have and come back to whoever
    /// listens then.
    pub fn until(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// The same for tonic's routes, with bounded messages.
    pub fn into_server(self) -> SecretDiscoveryServiceServer<Self> {
        SecretDiscoveryServiceServer::new(self).max_decoding_message_size(MOST_REQUEST_BYTES)
    }

    /// Who asks, and a seat for it. A credential that is shown and is none refuses the stream.
    fn admit(&self, metadata: &MetadataMap, extensions: &Extensions) -> Result<(Asker, Seat), Status> {
        let peer = extensions.get::<Peer>().ok_or_else(|| Status::internal("the connection has no peer"))?;
        let unix = peer
            .unix()
            .ok_or_else(|| Status::permission_denied("secrets are served on Unix sockets only"))?;
        let connection = extensions.get::<Connection>();
        let connection = connection.ok_or_else(|| Status::internal("the connection was not counted"))?;
        let (uid, peer) = (unix.uid(), connection.key().clone());
        let seat = self.peers.admit(&peer)?;
        let credential = self.credential(metadata)?;
        Ok((Asker { uid, peer, credential }, seat))
    }

    fn credential(&self, metadata: &MetadataMap) -> Result<Option<Credential>, Status> {
        match &self.source {
            Source::TokenFile(path) => Ok(Some(Credential::File(Arc::clone(path)))),
            Source::StreamToken => stream_token(metadata)
                .map(|token| token.map(Credential::Stream))
                .inspect_err(|_| metrics::refused_stream("bad_token"))
                .map_err(|fault| Status::unauthenticated(fault.to_string())),
        }
    }

    fn open<P: Protocol>(
        &self,
        request: Request<Streaming<P::Request>>,
    ) -> Result<Response<Responses<P::Response>>, Status> {
        let (metadata, extensions, requests) = request.into_parts();
        let refusals = self.refusals.clone();
        let (asker, seat) = self.admit(&metadata, &extensions).map_err(|status| refusals.name(status))?;
        let stream = SecretStream::<P, _>::new(requests, asker, self.cache.clone(), seat)
            .map(move |next| next.map_err(|status| refusals.name(status)));
        Ok(Response::new(stream.take_until(self.stop.clone().cancelled_owned()).boxed()))
    }

    /// The first response of a stream with this one request; UNAVAILABLE when there is none in time.
    async fn fetch(&self, request: Request<DiscoveryRequest>) -> Result<DiscoveryResponse, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let (asker, seat) = self.admit(&metadata, &extensions)?;
        if request.resource_names.is_empty() {
            return Err(Status::invalid_argument("name the secrets to fetch, such as `default` or `ROOTCA`"));
        }
        let requests = stream::iter([Ok(request)]).chain(stream::pending());
        let mut stream = SecretStream::<StateOfTheWorld, _>::new(requests, asker, self.cache.clone(), seat);
        match self.stop.run_until_cancelled(timeout(LONGEST_FETCH, stream.next())).await {
            Some(Ok(Some(answer))) => answer,
            Some(Ok(None) | Err(_)) | None => Err(stream.status()),
        }
    }
}

#[tonic::async_trait]
impl SecretDiscoveryService for SdsService {
    type StreamSecretsStream = Responses<DiscoveryResponse>;
    type DeltaSecretsStream = Responses<DeltaDiscoveryResponse>;

    async fn stream_secrets(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamSecretsStream>, Status> {
        self.open::<StateOfTheWorld>(request)
    }

    async fn delta_secrets(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaSecretsStream>, Status> {
        self.open::<Delta>(request)
    }

    async fn fetch_secrets(
        &self,
        request: Request<DiscoveryRequest>,
    ) -> Result<Response<DiscoveryResponse>, Status> {
        self.fetch(request).await.map(Response::new).map_err(|status| self.refusals.name(status))
    }
}

/// A fetch is answered or given up after this long, which the deadline for the head of an answer allows; the
/// client's own deadline may be shorter.
const LONGEST_FETCH: Duration = Duration::from_secs(10);
/// Istio's proxies send their node metadata, up to tens of kB, with every request.
pub(super) const MOST_REQUEST_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests;
