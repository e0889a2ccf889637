//! The client against a small SDS server on a real Unix socket.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
};

use prost::Message;
use prost_types::Any;
use signet_proto::{
    SECRET_TYPE_URL,
    envoy::{
        extensions::transport_sockets::tls::v3::Secret,
        service::{
            discovery::v3::{
                DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
            },
            secret::v3::secret_discovery_service_server::{
                SecretDiscoveryService, SecretDiscoveryServiceServer,
            },
        },
    },
    google::rpc,
};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio_stream::{Stream, StreamExt, wrappers::UnixListenerStream};
use tonic::{Response, Streaming, async_trait, transport::Server};

use super::*;

/// Answers every request with a push of `default`, and ends the stream at a NACK.
#[derive(Clone, Default)]
struct Agent {
    metadata: Arc<Mutex<MetadataMap>>,
    sotw: Arc<Mutex<Vec<DiscoveryRequest>>>,
    delta: Arc<Mutex<Vec<DeltaDiscoveryRequest>>>,
}

type Pushes<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[async_trait]
impl SecretDiscoveryService for Agent {
    type DeltaSecretsStream = Pushes<DeltaDiscoveryResponse>;
    type StreamSecretsStream = Pushes<DiscoveryResponse>;

    async fn delta_secrets(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaSecretsStream>, Status> {
        let seen = Arc::clone(&self.delta);
        let resource = Resource { name: "default".into(), version: "v1".into(), resource: Some(secret()) };
        Ok(Response::new(Box::pin(request.into_inner().map(move |request| {
            let rejected = rejected(request.as_ref().unwrap().error_detail.as_ref());
            seen.lock().unwrap().push(request?);
            let resources = vec![resource.clone()];
            rejected.map(|()| DeltaDiscoveryResponse { resources, nonce: "n1".into(), ..Default::default() })
        }))))
    }

    async fn stream_secrets(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamSecretsStream>, Status> {
        *self.metadata.lock().unwrap() = request.metadata().clone();
        let seen = Arc::clone(&self.sotw);
        Ok(Response::new(Box::pin(request.into_inner().map(move |request| {
            let rejected = rejected(request.as_ref().unwrap().error_detail.as_ref());
            seen.lock().unwrap().push(request?);
            rejected.map(|()| push())
        }))))
    }

    async fn fetch_secrets(
        &self,
        _: Request<DiscoveryRequest>,
    ) -> Result<Response<DiscoveryResponse>, Status> {
        Ok(Response::new(push()))
    }
}

fn rejected(detail: Option<&rpc::Status>) -> Result<(), Status> {
    detail.map_or(Ok(()), |detail| Err(Status::aborted(&detail.message)))
}

fn push() -> DiscoveryResponse {
    DiscoveryResponse {
        version_info: "v1".into(),
        resources: vec![secret()],
        nonce: "n1".into(),
        ..Default::default()
    }
}

fn secret() -> Any {
    let secret = Secret { name: "default".into(), ..Default::default() };
    Any { type_url: SECRET_TYPE_URL.into(), value: secret.encode_to_vec() }
}

/// A client of an agent that runs as long as the tasks do.
async fn connected(agent: &Agent) -> (SdsClient, JoinSet<()>) {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("agent.sock");
    let listener = UnixListenerStream::new(UnixListener::bind(&socket).unwrap());
    let server = Server::builder().add_service(SecretDiscoveryServiceServer::new(agent.clone()));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { server.serve_with_incoming(listener).await.unwrap() });
    (SdsClient::connect(&socket).await.unwrap(), tasks)
}

fn credential(header: &str) -> Credential {
    Credential { header: header.to_owned(), token: Token::new("a.b.c").unwrap() }
}

#[tokio::test]
async fn a_stream_carries_names_and_answers_as_a_proxy_sends_them() {
    let agent = Agent::default();
    let (client, _server) = connected(&agent).await;
    let mut stream = client.stream(&["default"], &[]).await.unwrap();

    let push = stream.next().await.unwrap().unwrap();
    assert_eq!((push.version.as_str(), push.secrets[0].name.as_str()), ("v1", "default"));
    stream.ack(&push).await;
    stream.next().await.unwrap();
    stream.nack(&push, "v0", "bad key").await;
    let end = stream.next().await.unwrap_err();

    assert!(end.to_string().contains("bad key"), "{end}");
    let requests = agent.sotw.lock().unwrap();
    let sent: Vec<_> = requests
        .iter()
        .map(|request| (request.version_info.as_str(), request.response_nonce.as_str()))
        .collect();
    assert_eq!(sent, [("", ""), ("v1", "n1"), ("v0", "n1")]);
    for request in requests.iter() {
        assert_eq!(request.resource_names, ["default"]);
        assert_eq!(request.type_url, SECRET_TYPE_URL);
        assert!(request.node.is_some());
    }
}

#[tokio::test]
async fn a_delta_stream_names_its_secrets_once() {
    let agent = Agent::default();
    let (client, _server) = connected(&agent).await;
    let mut stream = client.delta(&["default"], &[]).await.unwrap();

    let push = stream.next().await.unwrap().unwrap();
    assert_eq!(push.secrets[0].version, "v1");
    stream.ack(&push).await;
    stream.next().await.unwrap();
    stream.nack(&push, "bad key").await;
    assert!(matches!(stream.next().await, Err(SdsError::Ended(_))));

    let requests = agent.delta.lock().unwrap();
    let sent: Vec<_> = requests
        .iter()
        .map(|request| (request.resource_names_subscribe.len(), request.response_nonce.as_str()))
        .collect();
    assert_eq!(sent, [(1, ""), (0, "n1"), (0, "n1")]);
}

#[tokio::test]
async fn fetching_brings_one_push() {
    let (client, _server) = connected(&Agent::default()).await;
    assert_eq!(client.fetch(&["default"], &[]).await.unwrap().secrets.len(), 1);
}

#[tokio::test]
async fn a_token_travels_under_every_header_that_agents_read() {
    let agent = Agent::default();
    let (client, _server) = connected(&agent).await;
    let credentials = ["istio_sds_credentials_header-bin", "authorization", "x-token"].map(credential);
    client.stream(&["default"], &credentials).await.unwrap();

    let metadata = agent.metadata.lock().unwrap();
    let binary = metadata.get_bin("istio_sds_credentials_header-bin").unwrap();
    assert_eq!(binary.to_bytes().unwrap(), "a.b.c");
    assert_eq!(metadata.get("authorization").unwrap(), "Bearer a.b.c");
    assert_eq!(metadata.get("x-token").unwrap(), "a.b.c");
}

#[tokio::test]
async fn what_cannot_be_asked_is_told_at_once() {
    let absent = SdsClient::connect(Path::new("/nowhere/agent.sock")).await.unwrap_err();
    assert!(absent.to_string().contains("/nowhere/agent.sock"), "{absent}");
    let (client, _server) = connected(&Agent::default()).await;
    let illegal = client.stream(&["default"], &[credential("A Header")]).await.unwrap_err();
    assert!(matches!(illegal, SdsError::Header { .. }), "{illegal}");
}
