//! Clients that hold on to the CA without using it.

use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use signet_runtime::tls;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{interval, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    csr::{self, WEB},
    house::House,
};

/// For those who never shake hands: who does must get it done on a busy machine, too.
const IMPATIENT: &str = "[limits]\nhandshake_timeout = '200ms'";
/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(60);

async fn tls(house: &House) -> TlsStream<TcpStream> {
    try_tls(house).await.unwrap()
}

async fn try_tls(house: &House) -> std::io::Result<TlsStream<TcpStream>> {
    let anchor = CertificateDer::from_pem_slice(house.root().as_bytes()).unwrap();
    let connector = TlsConnector::from(std::sync::Arc::new(tls::client_config(&[anchor]).unwrap()));
    let tcp = TcpStream::connect(house.grpc).await.unwrap();
    connector.connect("localhost".try_into().unwrap(), tcp).await
}

/// The server has closed it, properly or not.
async fn is_closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> bool {
    let mut rest = Vec::new();
    timeout(SOON, stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed() {
    let house = House::with(IMPATIENT).await;
    let mut silent = TcpStream::connect(house.grpc).await.unwrap();
    assert!(is_closed(&mut silent).await, "before the handshake");

    let house = House::with("[limits]\npreface_timeout = '200ms'").await;
    assert!(is_closed(&mut tls(&house).await).await, "after the handshake");
}

#[tokio::test]
async fn a_client_that_sends_a_byte_now_and_then_is_closed() {
    let house = House::with(IMPATIENT).await;
    let mut slow = TcpStream::connect(house.grpc).await.unwrap();
    let mut drip = interval(Duration::from_millis(50));
    let dripping = async {
        // The beginning of a TLS record, which never ends.
        for byte in [22, 3, 1, 2, 0].into_iter().chain(std::iter::repeat(1)) {
            drip.tick().await;
            if slow.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    };

    assert!(timeout(SOON, dripping).await.is_ok(), "still open after {SOON:?}");
}

#[tokio::test]
async fn idle_clients_at_the_limit_do_not_keep_others_out_for_long() {
    let house = House::with("[limits]\nhandshake_timeout = '1s'\nmax_connections = 8").await;
    let mut idle = Vec::new();
    for _ in 0..32 {
        idle.push(TcpStream::connect(house.grpc).await.unwrap());
    }
    let trying = async {
        loop {
            // The handshake of a test's own client may fail while the house is full.
            if let Ok(mut stream) = try_tls(&house).await
                && timeout(Duration::from_millis(100), stream.read_u8()).await.is_err()
            {
                return;
            }
        }
    };

    timeout(SOON, trying).await.expect("idle clients keep others out");
}

#[tokio::test]
async fn a_client_that_resets_in_a_loop_is_sent_away_and_others_are_served() {
    let house = House::open().await;
    let mut requests = http2(&house).await;
    let storm = async {
        for _ in 0..10_000 {
            let Ok(ready) = requests.clone().ready().await else { return };
            requests = ready;
            let Ok((_, mut body)) = requests.send_request(head(&house, "grpc.health.v1.Health/Check"), false)
            else {
                return;
            };
            body.send_reset(h2::Reason::CANCEL);
            tokio::task::yield_now().await;
        }
        panic!("10,000 resets were borne");
    };

    timeout(SOON, storm).await.unwrap();

    assert!(house.ask(&csr::with_uris(&[WEB])).await.is_ok());
}

/// A connection whose frames a test sends by hand.
pub(crate) async fn http2(house: &House) -> SendRequest<Bytes> {
    let (requests, connection) = h2::client::handshake(tls(house).await).await.unwrap();
    #[allow(clippy::disallowed_methods, reason = "ends with the last request")]
    drop(tokio::spawn(connection));
    requests
}

/// The head of a call of that method.
pub(crate) fn head(house: &House, path: &str) -> http::Request<()> {
    http::Request::post(format!("https://localhost:{}/{path}", house.grpc.port()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}
