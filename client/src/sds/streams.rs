//! Both protocols of SDS, from the proxy's side.

use signet_proto::{
    SECRET_TYPE_URL,
    envoy::{
        config::core::v3::Node,
        service::discovery::v3::{
            DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
        },
    },
    google::rpc,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Streaming};

use super::{Credential, Push, SdsError, Stub, present};

/// A `StreamSecrets` stream.
#[derive(Debug)]
pub struct SecretStream {
    /// As each request repeats it.
    subscription: DiscoveryRequest,
    requests: mpsc::Sender<DiscoveryRequest>,
    responses: Streaming<DiscoveryResponse>,
}

impl SecretStream {
    pub(super) async fn open(
        mut stub: Stub,
        names: &[&str],
        credentials: &[Credential],
    ) -> Result<Self, SdsError> {
        let (requests, outbox) = mpsc::channel(OUTBOX);
        let mut stream = Request::new(ReceiverStream::new(outbox));
        present(credentials, stream.metadata_mut())?;
        let subscription = first_request(names);
        send(&requests, subscription.clone()).await;
        let responses = stub.stream_secrets(stream).await?.into_inner();
        Ok(Self { subscription, requests, responses })
    }

    /// The next push; `None` when the agent ended the stream with OK.
    pub async fn next(&mut self) -> Result<Option<Push>, SdsError> {
        self.responses.message().await?.map(Push::from_sotw).transpose()
    }

    /// Accepts a push.
    pub async fn ack(&self, push: &Push) {
        let (version_info, response_nonce) = (push.version.clone(), push.nonce.clone());
        let request = DiscoveryRequest { version_info, response_nonce, ..self.subscription.clone() };
        send(&self.requests, request).await;
    }

    /// Rejects a push and keeps `version`, the last accepted one (empty: none).
    pub async fn nack(&self, push: &Push, version: &str, reason: &str) {
        let request = DiscoveryRequest {
            version_info: version.to_owned(),
            response_nonce: push.nonce.clone(),
            error_detail: Some(rejection(reason)),
            ..self.subscription.clone()
        };
        send(&self.requests, request).await;
    }
}

/// A `DeltaSecrets` stream.
#[derive(Debug)]
pub struct DeltaStream {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
}

impl DeltaStream {
    pub(super) async fn open(
        mut stub: Stub,
        names: &[&str],
        credentials: &[Credential],
    ) -> Result<Self, SdsError> {
        let (requests, outbox) = mpsc::channel(OUTBOX);
        let mut stream = Request::new(ReceiverStream::new(outbox));
        present(credentials, stream.metadata_mut())?;
        send(&requests, DeltaDiscoveryRequest { resource_names_subscribe: owned(names), ..delta_request() })
            .await;
        let responses = stub.delta_secrets(stream).await?.into_inner();
        Ok(Self { requests, responses })
    }

    /// The next push; `None` when the agent ended the stream with OK.
    pub async fn next(&mut self) -> Result<Option<Push>, SdsError> {
        self.responses.message().await?.map(Push::from_delta).transpose()
    }

    /// Accepts a push.
    pub async fn ack(&self, push: &Push) {
        let response_nonce = push.nonce.clone();
        send(&self.requests, DeltaDiscoveryRequest { response_nonce, ..delta_request() }).await;
    }

    /// Rejects a push.
    pub async fn nack(&self, push: &Push, reason: &str) {
        let (response_nonce, error_detail) = (push.nonce.clone(), Some(rejection(reason)));
        send(&self.requests, DeltaDiscoveryRequest { response_nonce, error_detail, ..delta_request() }).await;
    }
}

/// Hands a request to the stream. A stream that is gone shows in its next push.
async fn send<T>(requests: &mpsc::Sender<T>, request: T) {
    drop(requests.send(request).await);
}

pub(super) fn first_request(names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        node: Some(node()),
        resource_names: owned(names),
        type_url: SECRET_TYPE_URL.to_owned(),
        ..Default::default()
    }
}

fn delta_request() -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest { node: Some(node()), type_url: SECRET_TYPE_URL.to_owned(), ..Default::default() }
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

/// Requests that wait to be sent. A client has one push to answer at a time.
const OUTBOX: usize = 4;
