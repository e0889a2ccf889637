//! The whole agent from its configuration on, without a CA.

#![cfg(test)]

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::Duration,
};

use http::Request;
use signet_client::{
    Token,
    sds::{Credential, SdsClient},
};
use signet_identity::{
    Clock, Pod, PrivateKey,
    jwt::{DevelopmentIssuer, TokenRequest},
};
use signet_node_agent::{config::Config, process::Process};
use signet_runtime::{
    SystemClock,
    telemetry::{Metrics, install_metrics},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// One recorder serves a process.
static METRICS: LazyLock<Metrics> = LazyLock::new(|| install_metrics().unwrap());

/// Far more than any of this takes, and less than the 10 s that connections are given to end.
const SOON: Duration = Duration::from_secs(8);
/// Long enough for an answer that is under way.
const A_WHILE: Duration = Duration::from_millis(300);

/// A running agent whose CA has no trust anchors yet.
struct Agent {
    folder: TempDir,
    operations: std::net::SocketAddr,
    running: JoinSet<()>,
    stop: CancellationToken,
}

impl Agent {
    /// `socket`: the keys of `[[socket]]` but its path, and whatever follows; `@` is the folder.
    async fn start(socket: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let text = format!(
            "[ca]\naddress = '127.0.0.1:1'\nanchors = '{at}/root-cert.pem'\n\
             [operations]\nlisten = '127.0.0.1:0'\n[[socket]]\npath = '{at}/agent.sock'\n{socket}"
        );
        let text = text.replace('@', &at.to_string());
        let file = folder.path().join("agent.toml");
        fs::write(&file, text).unwrap();
        let stop = CancellationToken::new();
        let config = Config::load(Some(&file)).unwrap();
        let process = Process::start(config, METRICS.clone(), Arc::new(SystemClock), stop.clone());
        let process = process.await.unwrap();
        let (operations, mut running) = (process.operations(), JoinSet::new());
        running.spawn(process.run());
        Self { folder, operations, running, stop }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("agent.sock")
    }

    /// The first message that a method answers that one with; empty when it answers with a status.
    async fn ask(&self, method: &str, message: &[u8]) -> Vec<u8> {
        let io = UnixStream::connect(self.socket()).await.unwrap();
        let (send, connection) = h2::client::handshake(io).await.unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(async move { drop(connection.await) });
        let request = Request::post(format!("http://agent/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let mut send = send.ready().await.unwrap();
        let (answer, mut body) = send.send_request(request.body(()).unwrap(), false).unwrap();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        body.send_data([&[0][..], &length, message].concat().into(), true).unwrap();
        let mut answer = answer.await.unwrap().into_body();
        let data = timeout(SOON, answer.data()).await.unwrap();
        data.map_or_else(Vec::new, |data| data.unwrap()[5..].to_vec())
    }

    async fn get(&self, path: &str) -> String {
        let mut connection = TcpStream::connect(self.operations).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

fn credential() -> Credential {
    let issuer = DevelopmentIssuer::new(PrivateKey::generate().unwrap(), "https://issuer.test".to_owned());
    let request = TokenRequest {
        namespace: "shop".to_owned(),
        service_account: "orders".to_owned(),
        audiences: vec!["istio-ca".to_owned()],
        lifetime: Duration::from_secs(600),
        pod: Pod::default(),
    };
    let token = Token::new(&issuer.mint(&request, SystemClock.now()).unwrap()).unwrap();
    Credential { header: "authorization".to_owned(), token }
}

#[tokio::test]
async fn streams_are_held_while_there_is_no_ca_and_end_at_once_when_the_agent_stops() {
    let mut agent = Agent::start("").await;
    let client = SdsClient::connect(&agent.socket()).await.unwrap();
    let mut stream = client.stream(&["default"], &[credential()]).await.unwrap();
    assert!(timeout(A_WHILE, stream.next()).await.is_err(), "held: neither answered nor failed");
    let ready = agent.get("/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 200"), "held streams are served streams: {ready}");
    assert!(ready.contains("\nca: no connection"), "{ready}");

    agent.stop.cancel();
    assert!(timeout(SOON, stream.next()).await.unwrap().unwrap().is_none(), "ended with OK");
    timeout(SOON, agent.running.join_next()).await.unwrap();
}

#[tokio::test]
async fn health_and_reflection_are_answered_on_the_socket_and_long_questions_are_not() {
    let agent = Agent::start("").await;
    let check = "grpc.health.v1.Health/Check";
    let reflect = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let answer = agent.ask(check, &[]).await;
    assert_eq!(answer, [8, 1], "`status` is SERVING");
    let services = agent.ask(reflect, &[0x3a, 0]).await; // `list_services`
    let services = String::from_utf8_lossy(&services);
    assert!(services.contains("envoy.service.secret.v3.SecretDiscoveryService"), "{services}");

    let unknown_field = [&[0x7a, 0x80, 0x20][..], &[0; 4096]].concat();
    for method in [check, reflect] {
        assert!(agent.ask(method, &unknown_field).await.is_empty(), "{method}");
    }
}

#[tokio::test]
async fn a_socket_lets_in_whom_its_configuration_names() {
    let own = fs::metadata("/proc/self").unwrap().uid();
    let agent = Agent::start(&format!("allowed_uids = [{own}]")).await;
    let client = SdsClient::connect(&agent.socket()).await.unwrap();
    client.stream(&["default"], &[credential()]).await.unwrap();

    let agent = Agent::start(&format!("allowed_uids = [{}]", own + 1)).await;
    let refused = async {
        let client = SdsClient::connect(&agent.socket()).await?;
        client.stream(&["default"], &[credential()]).await
    };
    assert!(timeout(SOON, refused).await.unwrap().is_err());
    assert!(
        agent.get("/metrics").await.contains("signet_agent_connections_refused_total{reason=\"peer\"} 1")
    );
}

#[tokio::test]
async fn the_bound_on_connections_is_of_all_sockets_together() {
    let agent = Agent::start("[[socket]]\npath = '@/other.sock'\n[limits]\nmax_connections = 1").await;
    let (first, second) = (agent.socket(), agent.folder.path().join("other.sock"));
    let served = async |socket: &Path| {
        let client = SdsClient::connect(socket).await.ok()?;
        Some((client.stream(&["default"], &[credential()]).await.ok()?, client))
    };
    let only = timeout(SOON, served(&first)).await.unwrap();
    assert!(only.is_some());
    assert!(timeout(SOON, served(&second)).await.unwrap().is_none());
    drop(only);
    timeout(SOON, async { while served(&second).await.is_none() {} }).await.unwrap();
}
