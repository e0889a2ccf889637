//! The agent over a real Unix socket, on the serving cores it ships with, before a CA in memory.

#![cfg(test)]

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::future::join_all;
use http::Request;
use prost::Message;
use signet_client::{
    Reachability, Token,
    sds::{Credential, SdsClient, SdsError},
    testing::FakeCa,
};
use signet_identity::Clock;
use signet_node_agent::{Peers, Renewer, SdsService, StreamLimits, Terms, workload::token::IdentitySource};
use signet_proto::{
    SECRET_TYPE_URL,
    envoy::{
        extensions::transport_sockets::tls::v3::secret,
        service::discovery::v3::{DiscoveryRequest, DiscoveryResponse},
    },
};
use signet_runtime::{
    SystemClock,
    config::{Document, Environment},
    connection::Limits,
    cores::Cores,
    listener::{Capacity, Server},
};
use tempfile::TempDir;
use tokio::{
    net::{UnixListener, UnixStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Status, service::Routes};

const HOUR: Duration = Duration::from_secs(3600);
/// Far more than any of this takes, and no more than anybody wants to wait for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running agent.
struct Agent {
    ca: Arc<FakeCa>,
    socket: PathBuf,
    _folder: TempDir,
    _tasks: JoinSet<()>,
    _stop: DropGuard,
}

impl Agent {
    fn start(limits: StreamLimits) -> Self {
        Self::with(limits, None)
    }

    fn with(limits: StreamLimits, lifetime: Option<Duration>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent.sock");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ca = Arc::new(FakeCa::new("td.test".parse().unwrap(), Arc::clone(&clock)));
        let terms =
            Terms { trust_domain: "td.test".parse().unwrap(), lifetime, audience: None, most_svids: 100 };
        let (cache, renewer) = Renewer::new(terms, ca.clone(), clock);
        let peers = Peers::new(limits);
        let service = SdsService::new(&IdentitySource::StreamToken, cache, peers.clone());
        let routes = Routes::new(service.into_server());
        let cores = Cores::start(2, "agent-test").unwrap();
        let bounds = of_connections(limits.peer);
        let server = Server::new(routes, bounds, Capacity::default(), cores, "agent_test");
        let listener = UnixListener::bind(&socket).unwrap();
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(renewer.run(stop.clone()));
        let until = stop.clone();
        tasks.spawn(async move { server.serve_unix(listener, |unix| peers.connect(unix), until).await });
        Self { ca, socket, _folder: folder, _tasks: tasks, _stop: stop.drop_guard() }
    }

    async fn connect(&self) -> SdsClient {
        SdsClient::connect(&self.socket).await.unwrap()
    }

    fn credential(&self, account: &str) -> [Credential; 1] {
        let token = self.ca.token("a", account, HOUR);
        [Credential { header: "istio_sds_credentials_header-bin".to_owned(), token }]
    }
}

/// What a connection may have, as the agent's configuration sets it.
fn of_connections(streams: usize) -> Limits {
    let text = format!("max_streams = {}", streams.max(256));
    let document = Document::parse("agent.toml", &text, Environment::of_process("NONE_", &[])).unwrap();
    let limits = Limits::of_endless_streams(&document.root());
    document.finish(Some(limits)).unwrap()
}

/// The status that ends a stream or refuses it.
fn status(error: SdsError) -> Status {
    match error {
        SdsError::Ended(status) => *status,
        other => panic!("{other}"),
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("within the test's patience")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_gets_certificate_key_and_roots_over_both_protocols_and_by_fetch() {
    let agent = Agent::start(StreamLimits::default());
    let (client, credential) = (agent.connect().await, agent.credential("web"));
    let mut stream = client.stream(&["default"], &credential).await.unwrap();
    let push = soon(stream.next()).await.unwrap().unwrap();
    stream.ack(&push).await;
    assert!(matches!(&push.secrets[0].secret.r#type, Some(secret::Type::TlsCertificate(certificate))
        if certificate.private_key.is_some() && certificate.certificate_chain.is_some()));
    let mut delta = client.delta(&["ROOTCA"], &[]).await.unwrap();
    let push = soon(delta.next()).await.unwrap().unwrap();
    assert!(matches!(&push.secrets[0].secret.r#type, Some(secret::Type::ValidationContext(_))));
    let fetched = soon(client.fetch(&["default", "ROOTCA"], &credential)).await.unwrap();
    assert_eq!(fetched.secrets.len(), 2);
    assert_eq!(agent.ca.calls().len(), 1, "one token, one call");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_rejections_is_held_until_the_renewal_reaches_the_proxy() {
    let agent = Agent::with(StreamLimits::default(), Some(Duration::from_secs(3)));
    let client = agent.connect().await;
    let mut stream = client.stream(&["default"], &agent.credential("web")).await.unwrap();
    let first = soon(stream.next()).await.unwrap().unwrap();
    for _ in 0..10_000 {
        stream.nack(&first, "", "cannot be loaded").await;
    }
    let second = soon(stream.next()).await.unwrap().unwrap();
    assert_ne!(first.version, second.version, "not the rejected one again");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_identities_on_one_connection_get_their_own_svids() {
    let agent = Agent::start(StreamLimits::default());
    let client = agent.connect().await;
    for account in ["one", "two"] {
        let own = format!("spiffe://td.test/ns/a/sa/{account}");
        let push = soon(client.fetch(&[&own], &agent.credential(account))).await.unwrap();
        assert_eq!(push.secrets[0].name, own);
    }
    let one = agent.credential("one");
    let denied = soon(client.fetch(&["spiffe://td.test/ns/a/sa/two"], &one)).await;
    assert_eq!(status(denied.unwrap_err()).code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_refused_and_the_connection_goes_on() {
    let agent = Agent::start(StreamLimits { node: 10, peer: 2, ..StreamLimits::default() });
    let (client, credential) = (agent.connect().await, agent.credential("web"));
    let [long_name, huge_name] = [3000, 64 << 10].map(|bytes| "n".repeat(bytes));
    for (name, names, code) in [
        ("10,000 names", vec!["n"; 10_000], Code::InvalidArgument),
        ("10,000 names in more than 64 KiB", vec!["default"; 10_000], Code::InvalidArgument),
        ("a request of 64 KiB and more", vec![huge_name.as_str()], Code::InvalidArgument),
        ("a name longer than any", vec![long_name.as_str()], Code::InvalidArgument),
    ] {
        let mut stream = client.stream(&names, &credential).await.unwrap();
        assert_eq!(status(soon(stream.next()).await.unwrap_err()).code(), code, "{name}");
    }
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = client.stream(&["default"], &credential).await.unwrap();
        soon(stream.next()).await.unwrap().unwrap();
        streams.push(stream);
    }
    let third = soon(client.stream(&["default"], &credential)).await;
    assert_eq!(status(third.unwrap_err()).code(), Code::ResourceExhausted);
    drop(streams);
    let again = async {
        while client.fetch(&["default"], &credential).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    soon(again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_too_many_of_one_peer_is_closed_and_a_freed_place_is_given_again() {
    let agent = Agent::start(StreamLimits { connections_per_peer: 3, ..StreamLimits::default() });
    let served = async |client: &SdsClient| client.fetch(&["ROOTCA"], &agent.credential("web")).await.is_ok();
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(agent.connect().await);
        assert!(soon(served(clients.last().unwrap())).await);
    }
    let one_more = async || match SdsClient::connect(&agent.socket).await {
        Ok(client) => served(&client).await,
        Err(_) => false,
    };
    assert!(!soon(one_more()).await);
    clients.pop();
    soon(async { while !one_more().await {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_garbage_token_is_told_and_other_workloads_are_served_meanwhile() {
    let agent = Agent::start(StreamLimits::default());
    let client = agent.connect().await;
    let token = Token::new("garbage").unwrap();
    let garbage = [Credential { header: "authorization".to_owned(), token }];
    let mut refused = client.stream(&["default"], &garbage).await.unwrap();
    soon(client.fetch(&["default"], &agent.credential("web"))).await.unwrap();
    let refused = status(soon(refused.next()).await.unwrap_err());
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("no JWT"), "{refused}");
}

/// On one thread, so that nothing is sent before all have answered.
#[tokio::test]
async fn thousands_of_streams_on_one_connection_outlast_that_all_of_them_answer_each_push_at_once() {
    const STREAMS: usize = 4000;
    let agent = Agent::start(StreamLimits { peer: STREAMS, ..StreamLimits::default() });
    let client = agent.connect().await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(soon(client.stream(&["ROOTCA"], &[])).await.unwrap());
    }
    for rotation in 0..3 {
        let pushes = soon(join_all(streams.iter_mut().map(|stream| stream.next()))).await;
        for (stream, push) in streams.iter().zip(pushes) {
            let push = push.unwrap_or_else(|error| panic!("rotation {rotation}: {error}"));
            stream.ack(&push.unwrap()).await;
        }
        agent.ca.rotate_root();
        agent.ca.set_reachability(Reachability::Reachable);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_costs_its_own_stream_only() {
    let agent = Agent::start(StreamLimits::default());
    soon(agent.connect().await.fetch(&["default"], &agent.credential("web"))).await.unwrap();
    let io = UnixStream::connect(&agent.socket).await.unwrap();
    // A window smaller than any response: whoever does not read gets no further than that.
    let (send, connection) =
        h2::client::Builder::new().initial_window_size(64).handshake::<_, Bytes>(io).await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(async move { drop(connection.await) });
    let mut send = send.ready().await.unwrap();
    let (mut slow, _slow_requests) = open(&mut send);
    let (mut reading, _requests) = open(&mut send);
    let (mut slow, mut reading) = (soon(body(&mut slow)).await, soon(body(&mut reading)).await);

    assert_eq!(soon(message(&mut reading)).await.resources.len(), 1, "a stream of the same connection");
    soon(agent.connect().await.fetch(&["ROOTCA"], &[])).await.unwrap();
    assert_eq!(soon(message(&mut slow)).await.resources.len(), 1, "served when it reads again");
}

/// Opens `StreamSecrets` for the roots without waiting for anything.
fn open(send: &mut h2::client::SendRequest<Bytes>) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
    let path = "http://agent/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";
    let request = Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    let (response, mut requests) = send.send_request(request.body(()).unwrap(), false).unwrap();
    let message = DiscoveryRequest {
        resource_names: vec!["ROOTCA".to_owned()],
        type_url: SECRET_TYPE_URL.to_owned(),
        ..Default::default()
    };
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut frame).unwrap();
    requests.send_data(frame.freeze(), false).unwrap();
    (response, requests)
}

async fn body(response: &mut h2::client::ResponseFuture) -> h2::RecvStream {
    response.await.unwrap().into_body()
}

async fn message(body: &mut h2::RecvStream) -> DiscoveryResponse {
    let mut received = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        let _ = body.flow_control().release_capacity(data.len());
        received.extend_from_slice(&data);
        if received.len() >= 5
            && received.len() - 5 >= u32::from_be_bytes(received[1..5].try_into().unwrap()) as usize
        {
            return DiscoveryResponse::decode(&received[5..]).unwrap();
        }
    }
    panic!("the stream ended before a message");
}
