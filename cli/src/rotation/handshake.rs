//! TLS as two proxies speak it: both show an SVID, and both hold the other's to the roots, whatever its name.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, DigitallySignedStruct, Error, RootCertStore,
    ServerConfig, ServerConnection, SideData, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use signet_identity::CertificateSummary;
use signet_runtime::tls;

use crate::sds::secret::Identity;

/// One end of connections: what a proxy makes of its secrets.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    verifier: Arc<AnyName>,
}

impl Peer {
    /// # Errors
    /// A proxy would not take the secrets, and why.
    pub(super) fn new(identity: &Identity, roots: &[CertificateDer<'static>]) -> Result<Self, String> {
        let key = identity.key().ok_or("its private key cannot be read")?;
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(root.clone()).map_err(|fault| format!("a root cannot be used: {fault}"))?;
        }
        let roots = Arc::new(store);
        let verifier = Arc::new(AnyName {
            roots: Arc::clone(&roots),
            algorithms: tls::provider().signature_verification_algorithms,
            presented: Mutex::new(None),
        });
        let told = |fault: Error| fault.to_string();
        let chain = identity.chain().to_vec();
        let mut client = ClientConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(told)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>)
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(told)?;
        client.resumption = Resumption::disabled();
        let clients = WebPkiClientVerifier::builder_with_provider(roots, tls::provider()).build();
        let mut server = ServerConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(told)?
            .with_client_cert_verifier(clients.map_err(|fault| fault.to_string())?)
            .with_single_cert(chain, key)
            .map_err(told)?;
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { client: Arc::new(client), server: Arc::new(server), verifier })
    }

    /// For connections over a network.
    pub(super) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    /// Who was met last.
    pub(super) fn presented(&self) -> Option<CertificateSummary> {
        self.verifier.presented.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A whole handshake in memory, both ends verified.
///
/// # Errors
/// One end refused the other, and why.
pub(super) fn meet(client: &Peer, server: &Peer) -> Result<(), String> {
    let nobody = ServerName::try_from("peer.invalid").map_err(|fault| fault.to_string())?;
    let mut client = ClientConnection::new(client.client(), nobody).map_err(|fault| fault.to_string())?;
    let mut server = ServerConnection::new(Arc::clone(&server.server)).map_err(|fault| fault.to_string())?;
    for _ in 0..FLIGHTS {
        deliver(&mut client, &mut server)
            .map_err(|fault| format!("the server refused the client: {fault}"))?;
        deliver(&mut server, &mut client)
            .map_err(|fault| format!("the client refused the server: {fault}"))?;
        if !client.is_handshaking() && !server.is_handshaking() {
            return Ok(());
        }
    }
    Err("the handshake came to no end".to_owned())
}

/// Everything that one end has to say to the other.
fn deliver<A: SideData, B: SideData>(
    from: &mut ConnectionCommon<A>,
    to: &mut ConnectionCommon<B>,
) -> Result<(), String> {
    let mut flight = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut flight).map_err(|fault| fault.to_string())?;
    }
    let mut rest = flight.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest).map_err(|fault| fault.to_string())?;
        to.process_new_packets().map_err(|fault| fault.to_string())?;
    }
    Ok(())
}

/// Accepts every server that the roots vouch for: an SVID has a SPIFFE ID and mostly no DNS name.
#[derive(Debug)]
struct AnyName {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    presented: Mutex<Option<CertificateSummary>>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.presented.lock().unwrap_or_else(PoisonError::into_inner) =
            CertificateSummary::of(end_entity).ok();
        let end_entity = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &end_entity,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// TLS 1.3 takes two, and 1.2 three.
const FLIGHTS: usize = 6;

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use signet_identity::testing::TestAuthority;
    use signet_identity::{Clock, PrivateKey, SpiffeId, certificate_pem};
    use signet_runtime::SystemClock;

    use super::*;

    #[test]
    fn an_end_is_refused_by_its_peer_when_it_is_over_or_nobody_vouches_for_it() {
        let now = SystemClock.now();
        let (ours, theirs) = (TestAuthority::new("td.test", now), TestAuthority::new("td.test", now));
        let (hour, second) = (Duration::from_secs(3600), Duration::from_secs(1));
        let good = peer(&ours, &ours, now + hour);
        let over = peer(&ours, &ours, now - second);
        let stranger = peer(&theirs, &ours, now + hour);
        assert_eq!(meet(&good, &good), Ok(()));
        for (name, bad, reason) in [("over", &over, "expired"), ("a stranger", &stranger, "UnknownIssuer")] {
            let as_client = meet(bad, &good).unwrap_err();
            let as_server = meet(&good, bad).unwrap_err();
            assert!(as_client.starts_with("the server refused"), "{name}: {as_client}");
            assert!(as_server.starts_with("the client refused"), "{name}: {as_server}");
            assert!(as_client.contains(reason), "{name}: {as_client}");
        }
    }

    #[test]
    fn secrets_that_no_proxy_would_take_make_no_end() {
        let now = SystemClock.now();
        let ours = TestAuthority::new("td.test", now);
        let other = PrivateKey::generate().unwrap();
        let mismatched = identity(&ours, now + Duration::from_secs(60), &other);
        assert!(Peer::new(&mismatched, ours.bundle().authorities()).is_err());
    }

    fn peer(signer: &TestAuthority, trusted: &TestAuthority, until: SystemTime) -> Peer {
        let key = PrivateKey::generate().unwrap();
        let identity = signed(signer, until, &key, &key);
        Peer::new(&identity, trusted.bundle().authorities()).unwrap()
    }

    fn identity(signer: &TestAuthority, until: SystemTime, other: &PrivateKey) -> Identity {
        signed(signer, until, &PrivateKey::generate().unwrap(), other)
    }

    fn signed(
        signer: &TestAuthority,
        until: SystemTime,
        certified: &PrivateKey,
        held: &PrivateKey,
    ) -> Identity {
        let now = SystemClock.now();
        let id: SpiffeId = "spiffe://td.test/ns/a/sa/b".parse().unwrap();
        let leaf =
            signer.leaf(certified.public_key(), &id, now).valid(now - Duration::from_secs(60), until).sign();
        let chain: String = leaf.iter().map(|certificate| certificate_pem(certificate)).collect();
        Identity::read(chain.into_bytes(), held.to_pkcs8_pem().as_bytes().to_vec()).unwrap()
    }
}
