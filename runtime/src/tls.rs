//! TLS as measured: ring alone, AES-128-GCM first, no session tickets, HTTP/2 only.
//!
//! With a P-256 key resumption costs more than it saves, and SHA-384 is software in ring, which makes
//! AES-256-GCM the dearer handshake by a tenth.

mod serving_certificate;

pub use serving_certificate::ServingCertificate;

use std::sync::Arc;

use rustls::{
    CipherSuite, ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, ring},
    pki_types::CertificateDer,
    server::NoServerSessionStorage,
};

/// Why a TLS configuration could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The key is not the certificate's, or of a kind that ring does not know.
    #[error("the serving key does not fit its certificate. Give both parts of one pair")]
    Certificate(#[source] rustls::Error),
    /// A trust anchor is no certificate.
    #[error("trust anchor {number} of {count} is not a certificate. Replace it, or take it out")]
    Anchor {
        /// Its place, from 1.
        number: usize,
        /// How many there are.
        count: usize,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// rustls refuses what we ask of it: a fault of this program.
    #[error("rustls refused the configuration")]
    Bug(#[source] rustls::Error),
}

/// A server's configuration: TLS 1.2 and 1.3, our order of ciphers, no resumption of any kind, ALPN `h2`, and
/// whatever certificate is current when a handshake begins.
///
/// # Errors
/// [`TlsError::Bug`].
pub fn server_config(certificate: Arc<ServingCertificate>) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Bug)?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(certificate);
    config.alpn_protocols = vec![HTTP2.to_vec()];
    config.ignore_client_order = true;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// A client's configuration: the server must show a name and a chain to one of `anchors`. No resumption, ALPN
/// `h2`, no certificate of our own.
///
/// # Errors
/// [`TlsError::Anchor`] or [`TlsError::Bug`].
pub fn client_config(anchors: &[CertificateDer<'static>]) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    for (n, anchor) in anchors.iter().enumerate() {
        let added = roots.add(anchor.clone());
        added.map_err(|source| TlsError::Anchor { number: n + 1, count: anchors.len(), source })?;
    }
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Bug)?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![HTTP2.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The one provider of cryptography: ring, with AES-128-GCM before all other ciphers.
pub fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

const HTTP2: &[u8] = b"h2";

#[cfg(test)]
mod tests;
