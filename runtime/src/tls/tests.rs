//! What two of our processes agree on when they meet, and what a server shows after a change.

use rcgen::{CertifiedKey as Pair, generate_simple_self_signed};
use rustls::{
    CipherSuite, ProtocolVersion, ServerConnection,
    pki_types::{PrivateKeyDer, ServerName},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::*;

#[tokio::test]
async fn server_and_client_meet_in_tls13_with_aes_128_and_http2() {
    let pair = self_signed();
    let (server, _client) = handshake(&serving(&pair), client_config(&[der(&pair)]).unwrap()).await.unwrap();

    let session: &ServerConnection = server.get_ref().1;
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
    assert_eq!(suite, Some(CipherSuite::TLS13_AES_128_GCM_SHA256));
    assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn a_client_that_prefers_aes_256_gets_aes_128() {
    let pair = self_signed();
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|s| s.suite() != CipherSuite::TLS13_AES_256_GCM_SHA384);
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let mut roots = RootCertStore::empty();
    roots.add(der(&pair)).unwrap();
    let client = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);

    let (server, _client) = handshake(&serving(&pair), client.with_no_client_auth()).await.unwrap();

    let suite = server.get_ref().1.negotiated_cipher_suite().map(|suite| suite.suite());
    assert_eq!(suite, Some(CipherSuite::TLS13_AES_128_GCM_SHA256));
}

#[tokio::test]
async fn a_client_that_speaks_only_http1_is_refused() {
    let pair = self_signed();
    let mut client = client_config(&[der(&pair)]).unwrap();
    client.alpn_protocols = vec![b"http/1.1".to_vec()];

    assert!(handshake(&serving(&pair), client).await.is_err());
}

#[tokio::test]
async fn a_client_that_speaks_only_tls12_is_served() {
    let pair = self_signed();
    let builder = ClientConfig::builder_with_provider(provider());
    let mut roots = RootCertStore::empty();
    roots.add(der(&pair)).unwrap();
    let client = builder.with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();

    let (server, _client) = handshake(&serving(&pair), client).await.unwrap();

    assert_eq!(server.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_2));
}

#[tokio::test]
async fn no_session_is_resumed_even_by_a_client_that_would() {
    let pair = self_signed();
    let server = Arc::new(server_config(serving(&pair)).unwrap());
    let mut client = client_config(&[der(&pair)]).unwrap();
    client.resumption = Resumption::in_memory_sessions(8);

    for _ in 0..3 {
        let (server, _client) = meet(Arc::clone(&server), client.clone()).await.unwrap();
        assert_eq!(server.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full));
    }
}

#[tokio::test]
async fn the_next_handshake_after_a_change_shows_the_new_certificate() {
    let (old, new) = (self_signed(), self_signed());
    let serving = serving(&old);
    let client = client_config(&[der(&old), der(&new)]).unwrap();

    let (_, before) = handshake(&serving, client.clone()).await.unwrap();
    serving.replace(vec![der(&new)], key(&new)).unwrap();
    let (_, after) = handshake(&serving, client).await.unwrap();

    assert_eq!(before.get_ref().1.peer_certificates(), Some(&[der(&old)][..]));
    assert_eq!(after.get_ref().1.peer_certificates(), Some(&[der(&new)][..]));
}

#[tokio::test]
async fn a_key_of_another_certificate_is_refused_and_the_old_pair_stays() {
    let (old, new) = (self_signed(), self_signed());
    let serving = serving(&old);

    assert!(matches!(serving.replace(vec![der(&new)], key(&old)), Err(TlsError::Certificate(_))));

    handshake(&serving, client_config(&[der(&old)]).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_server_under_another_root_is_refused() {
    let (server, stranger) = (self_signed(), self_signed());

    assert!(handshake(&serving(&server), client_config(&[der(&stranger)]).unwrap()).await.is_err());
}

#[test]
fn an_anchor_that_is_no_certificate_is_named_by_its_place() {
    let anchors = [der(&self_signed()), CertificateDer::from(vec![1, 2, 3])];

    let message = client_config(&anchors).unwrap_err().to_string();

    assert!(message.starts_with("trust anchor 2 of 2 is not a certificate"), "{message}");
}

fn self_signed() -> Pair<rcgen::KeyPair> {
    generate_simple_self_signed(["ca.test".to_owned()]).unwrap()
}

fn der(pair: &Pair<rcgen::KeyPair>) -> CertificateDer<'static> {
    pair.cert.der().clone()
}

fn key(pair: &Pair<rcgen::KeyPair>) -> PrivateKeyDer<'static> {
    PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap()
}

fn serving(pair: &Pair<rcgen::KeyPair>) -> Arc<ServingCertificate> {
    Arc::new(ServingCertificate::new(vec![der(pair)], key(pair)).unwrap())
}

type Ends = (server::TlsStream<DuplexStream>, client::TlsStream<DuplexStream>);

async fn handshake(serving: &Arc<ServingCertificate>, client: ClientConfig) -> std::io::Result<Ends> {
    meet(Arc::new(server_config(Arc::clone(serving)).unwrap()), client).await
}

/// Both ends of a connection over which a byte came from the server.
async fn meet(server: Arc<ServerConfig>, client: ClientConfig) -> std::io::Result<Ends> {
    let (near, far) = duplex(16 << 10);
    let (acceptor, connector) = (TlsAcceptor::from(server), TlsConnector::from(Arc::new(client)));
    let name = ServerName::try_from("ca.test").unwrap();
    let (mut server, mut client) = tokio::try_join!(acceptor.accept(near), connector.connect(name, far))?;
    server.write_all(b"x").await?;
    server.flush().await?;
    client.read_u8().await?;
    Ok((server, client))
}
