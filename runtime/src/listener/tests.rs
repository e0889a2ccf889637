//! Who gets in, and who is turned away: real sockets, real cores, real time made short.

use std::{path::PathBuf, time::Duration};

use ::metrics::with_local_recorder;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;
use crate::{
    config::{Document, Environment},
    testing::eventually,
    tls::{ServingCertificate, client_config, server_config},
};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_client_is_served_over_tls_and_over_the_unix_socket() {
    let mut served = Served::with("").await;

    let tls = served.tls().await.unwrap();
    assert_eq!(served.request(tls).await, StatusCode::OK);
    let unix = served.unix().await;
    assert_eq!(served.request(unix).await, StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_left_after_the_handshake_deadline() {
    let served = Served::with("handshake_timeout = '100ms'").await;
    let start = Instant::now();

    let mut silent = served.tcp().await;

    closed(&mut silent).await;
    assert!(start.elapsed() >= Duration::from_millis(100));
    served.metric(r#"t_connections_ended_total{reason="handshake"} 1"#).await;
}

#[tokio::test]
async fn a_client_that_shakes_hands_and_says_nothing_more_is_left_too() {
    let served = Served::with("preface_timeout = '100ms'").await;

    let mut silent = served.tls().await.unwrap();

    closed(&mut silent).await;
    served.metric(r#"t_connections_ended_total{reason="preface"} 1"#).await;
}

#[tokio::test]
async fn a_crowd_that_says_nothing_takes_nobodys_turn_to_shake_hands() {
    let mut served = Served::with("max_handshakes = 1").await;
    let mut crowd = Vec::new();
    for _ in 0..50 {
        let mut silent = served.tcp().await;
        silent.write_all(&[22, 3, 1, 2]).await.unwrap(); // the first bytes of a hello
        crowd.push(silent);
    }

    let tls = served.tls().await.unwrap();

    assert_eq!(served.request(tls).await, StatusCode::OK);
}

#[tokio::test]
async fn one_that_stops_half_way_keeps_others_waiting_only_until_its_deadline() {
    let mut served = Served::with("max_handshakes = 1\nhandshake_timeout = '2s'").await;
    let mut rude = served.tcp().await;
    let hello = rustls::ClientConnection::new(served.client_tls(), ServerName::try_from("ca.test").unwrap());
    let mut bytes = Vec::new();
    hello.unwrap().write_tls(&mut bytes).unwrap();
    rude.write_all(&bytes).await.unwrap();
    rude.read_exact(&mut [0; 64]).await.unwrap(); // the server has answered and waits for the client's end
    let start = Instant::now();

    let impatient = timeout(Duration::from_millis(50), served.tls()).await;
    assert!(impatient.is_err(), "there is one turn, and it is taken");
    while served.tls().await.is_err() {} // who waits longer than its own deadline has to come again

    assert!(start.elapsed() < SOON);
    let tls = served.tls().await.unwrap();
    assert_eq!(served.request(tls).await, StatusCode::OK);
}

#[tokio::test]
async fn a_connection_beyond_the_last_place_is_closed_at_once_and_a_place_that_frees_is_given_again() {
    let mut served = Served::with("max_connections = 2").await;
    let (first, _second) = (served.unix().await, served.tcp().await);
    served.metric("t_connections 2").await;

    let mut third = served.unix().await;
    closed(&mut third).await;
    served.metric(r#"t_connections_refused_total{reason="full"} 1"#).await;

    drop(first);
    served.metric("t_connections 1").await;
    let next = served.unix().await;
    assert_eq!(served.request(next).await, StatusCode::OK);
}

#[tokio::test]
async fn a_peer_that_is_not_admitted_is_closed_at_once() {
    let served = Served::start("", |_| None::<()>).await;

    let mut stranger = served.unix().await;

    closed(&mut stranger).await;
    served.metric(r#"t_connections_refused_total{reason="peer"} 1"#).await;
    served.metric("t_connections 0").await;
}

#[tokio::test]
async fn what_a_peer_was_let_in_with_is_held_until_its_connection_ends() {
    let guard = Arc::new(());
    let held = Arc::downgrade(&guard);
    let mut served = Served::start("", move |_| Some(Arc::clone(&guard))).await;
    assert_eq!(held.strong_count(), 1, "the one to be cloned");

    let idle = served.unix().await;
    served.metric("t_connections 1").await;
    assert_eq!(held.strong_count(), 2);

    served.request(idle).await;
    served.clients.shutdown().await;
    served.metric("t_connections 0").await;
    eventually("let go", async || (held.strong_count() == 1).then_some(())).await;
}

#[tokio::test]
async fn a_stop_closes_the_listeners_and_every_connection_wherever_it_is() {
    let mut served = Served::with("handshake_timeout = '60s'\npreface_timeout = '60s'").await;
    let (_silent, _shaken, idle) = (served.tcp().await, served.tls().await.unwrap(), served.unix().await);
    served.request(idle).await;

    served.stop.cancel();

    assert_eq!(served.cores.drain(SOON).await, 0, "all have ended");
    while served.accepting.join_next().await.is_some() {}
    assert!(TcpStream::connect(served.address).await.is_err());
    assert!(UnixStream::connect(&served.socket).await.is_err());
}

#[tokio::test]
async fn a_stream_that_never_ends_is_cut_and_counted() {
    let mut served = Served::with("grace = '50ms'").await;
    let _endless = served.watch().await;

    served.stop.cancel();

    assert_eq!(served.cores.drain(SOON).await, 0);
    served.metric(r#"t_connections_ended_total{reason="cut"} 1"#).await;
}

#[tokio::test]
async fn a_client_that_does_not_know_our_root_fails_and_is_counted() {
    let served = Served::with("").await;
    let stranger = rcgen::generate_simple_self_signed(["ca.test".to_owned()]).unwrap();
    let tls = client_config(&[stranger.cert.der().clone()]).unwrap();
    let name = ServerName::try_from("ca.test").unwrap();

    assert!(TlsConnector::from(Arc::new(tls)).connect(name, served.tcp().await).await.is_err());

    served.metric(r#"t_connections_ended_total{reason="handshake"} 1"#).await;
}

#[test]
fn bounds_that_are_none_are_refused() {
    for text in ["max_connections = 0", "max_handshakes = 0", "max_connections = 10000000"] {
        let document = Document::parse("t.toml", text, Environment::of("T_", &[], [("", ""); 0])).unwrap();
        let capacity = Capacity::from_section(&document.root());
        let faults = document.finish(Some(capacity)).unwrap_err().to_string();
        assert!(faults.contains("is out of bounds"), "{faults}");
    }
}

/// Waits until the other end closes.
async fn closed(stream: &mut (impl AsyncRead + Unpin)) {
    let read = timeout(SOON, stream.read(&mut [0])).await.expect("it stays open");
    assert_eq!(read.unwrap_or(0), 0);
}

/// A server on a TCP port and on a Unix socket, and what its clients need.
struct Served {
    address: SocketAddr,
    socket: PathBuf,
    anchor: CertificateDer<'static>,
    metrics: PrometheusHandle,
    cores: Cores,
    stop: CancellationToken,
    accepting: JoinSet<()>,
    clients: JoinSet<()>,
    _directory: TempDir,
}

impl Served {
    /// Under those limits and bounds, for everybody.
    async fn with(limits: &str) -> Self {
        Self::start(limits, |_| Some(())).await
    }

    async fn start<G: Clone + Send + Sync + 'static>(
        limits: &str,
        admit: impl Fn(&UnixCredentials) -> Option<G> + Send + Sync + 'static,
    ) -> Self {
        let document = Document::parse("t.toml", limits, Environment::of("T_", &[], [("", ""); 0])).unwrap();
        let bounds = (Limits::from_section(&document.root()), Capacity::from_section(&document.root()));
        let (limits, capacity) = document.finish(Some(bounds)).unwrap();
        let (_, health) = tonic_health::server::health_reporter();
        let cores = Cores::start(2, "core").unwrap();
        let recorder = PrometheusBuilder::new().build_recorder();
        let routes = tonic::service::Routes::new(health);
        let server =
            with_local_recorder(&recorder, || Server::new(routes, limits, capacity, cores.clone(), "t"));

        let pair = rcgen::generate_simple_self_signed(["ca.test".to_owned()]).unwrap();
        let anchor = pair.cert.der().clone();
        let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
        let certificate = ServingCertificate::new(vec![anchor.clone()], key).unwrap();
        let tls = Arc::new(server_config(Arc::new(certificate)).unwrap());

        let directory = tempfile::tempdir().unwrap();
        let (socket, stop) = (directory.path().join("socket"), CancellationToken::new());
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let unix = UnixListener::bind(&socket).unwrap();
        let (metrics, mut accepting) = (recorder.handle(), JoinSet::new());
        let (over_unix, stopped) = (server.clone(), stop.clone());
        accepting.spawn(async move { over_unix.serve_unix(unix, admit, stopped).await });
        let stopped = stop.clone();
        accepting.spawn(async move { server.serve_tls(tcp, tls, stopped).await });
        let clients = JoinSet::new();
        Self { address, socket, anchor, metrics, cores, stop, accepting, clients, _directory: directory }
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn unix(&self) -> UnixStream {
        UnixStream::connect(&self.socket).await.unwrap()
    }

    async fn tls(&self) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("ca.test").unwrap();
        TlsConnector::from(self.client_tls()).connect(name, self.tcp().await).await
    }

    fn client_tls(&self) -> Arc<rustls::ClientConfig> {
        Arc::new(client_config(std::slice::from_ref(&self.anchor)).unwrap())
    }

    /// Asks for the health of the server.
    async fn request(&mut self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> StatusCode {
        self.call(io, "Check").await.status()
    }

    /// Watches the health of the server, for as long as the answer is held.
    async fn watch(&mut self) -> Response<h2::RecvStream> {
        let unix = self.unix().await;
        self.call(unix, "Watch").await
    }

    async fn call(
        &mut self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        method: &str,
    ) -> Response<h2::RecvStream> {
        let (send, connection) = h2::client::handshake(io).await.unwrap();
        self.clients.spawn(async move { drop(connection.await) });
        let request = Request::post(format!("http://ca.test/grpc.health.v1.Health/{method}"));
        let request = request.header("content-type", "application/grpc").body(()).unwrap();
        let (answer, mut body) = send.ready().await.unwrap().send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
        answer.await.unwrap()
    }

    /// Waits until the metrics hold that line.
    async fn metric(&self, line: &str) {
        let is_there = || self.metrics.render().lines().any(|found| found == line);
        eventually(line, async || is_there().then_some(())).await;
    }
}
