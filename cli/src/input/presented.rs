//! The chain that a TLS server presents, whoever it is: to be looked at, and never a reason to trust it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use signet_runtime::tls;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Item, Kind, read::ordinal};
use crate::flags::TlsAddress;

/// What the server presents. It has shown it by the time that it may refuse us, who have no certificate to show.
pub(super) async fn chain(address: &TlsAddress) -> Result<Vec<Item>> {
    let seen = Arc::new(Seen::default());
    let met = timeout(TIMEOUT, shake_hands(address, Arc::clone(&seen)))
        .await
        .with_context(|| format!("{address} was silent for {} s", TIMEOUT.as_secs()))?;
    let chain = std::mem::take(&mut *seen.0.lock().unwrap_or_else(PoisonError::into_inner));
    if chain.is_empty() {
        met?;
    }
    ensure!(!chain.is_empty(), "{address} presented no certificate");
    let item = |(place, certificate): (usize, CertificateDer<'_>)| Item {
        kind: Kind::Certificate,
        der: certificate.to_vec(),
        document: address.to_string(),
        origin: format!("{address}, {} certificate", ordinal(place)),
    };
    Ok((1..).zip(chain).map(item).collect())
}

async fn shake_hands(address: &TlsAddress, seen: Arc<Seen>) -> Result<()> {
    let host = address.host();
    let name = ServerName::try_from(host.to_owned())
        .with_context(|| format!("`{host}` is no DNS name and no IP address"))?;
    let tcp = TcpStream::connect((host, address.port())).await.with_context(|| {
        format!("cannot connect to {address}; check the address, and that somebody listens")
    })?;
    let config = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(seen)
        .with_no_client_auth();
    let connected = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    connected.with_context(|| format!("{address} speaks no TLS that is understood here"))?;
    Ok(())
}

/// Takes note of what is presented, and accepts it: nothing is sent to the server, and nothing of it believed.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<CertificateDer<'static>>>);

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(leaf).chain(intermediates).map(|one| one.clone().into_owned());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = chain.collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        tls::provider().signature_verification_algorithms.supported_schemes()
    }
}

/// For name resolution, TCP and TLS together.
const TIMEOUT: Duration = Duration::from_secs(10);
