//! One connection to the CA: TCP, TLS with the CA pinned, HTTP/2.

use std::{io, sync::Arc, time::Duration};

use rustls::{ClientConfig, client::Resumption, pki_types::ServerName};
use signet_identity::{CertificateSummary, SpiffeId};
use signet_runtime::tls;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    anchors::{Anchors, AnchorsError},
    pinned::PinnedServer,
};
use crate::http2::{self, Sender};

/// The driver of a connection to the CA.
pub(crate) type Connection = http2::Connection<TlsStream<TcpStream>>;

/// Where the CA is and whom to expect there.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) address: String,
    pub(crate) server_name: ServerName<'static>,
    pub(crate) spiffe_id: Option<SpiffeId>,
    /// For name resolution, TCP, TLS and the HTTP/2 preface together.
    pub(crate) deadline: Duration,
}

impl Connector {
    /// Connects to a server that these anchors vouch for.
    pub(crate) async fn connect(&self, anchors: &Anchors) -> Result<(Sender, Connection), ConnectError> {
        let verifier = PinnedServer::new(anchors, self.spiffe_id.clone(), tls::provider())
            .map_err(|error| ConnectError::Setup(rustls::Error::General(error.to_string())))?;
        let Ok(connected) = timeout(self.deadline, self.establish(Arc::new(verifier))).await else {
            return Err(ConnectError::Silent { deadline: self.deadline });
        };
        connected
    }

    async fn establish(&self, verifier: Arc<PinnedServer>) -> Result<(Sender, Connection), ConnectError> {
        let config = client_config(Arc::clone(&verifier))?;
        let tcp = TcpStream::connect(&self.address).await.map_err(ConnectError::Tcp)?;
        tcp.set_nodelay(true).map_err(ConnectError::Tcp)?;
        let tls = TlsConnector::from(Arc::new(config)).connect(self.server_name.clone(), tcp).await;
        let tls =
            tls.map_err(|source| ConnectError::Tls { presented: verifier.refused().map(Box::new), source })?;
        http2::handshake(tls).await.map_err(ConnectError::Http2)
    }
}

fn client_config(verifier: Arc<PinnedServer>) -> Result<ClientConfig, ConnectError> {
    let mut config = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(ConnectError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The anchors are missing or broken.
    #[error("the CA's trust anchors cannot be used")]
    Anchors(#[from] AnchorsError),
    /// Nobody there.
    #[error("no TCP connection; check the CA's address, and that the CA runs")]
    Tcp(#[source] io::Error),
    /// Somebody is there, who is not the CA that was expected.
    #[error("no TLS connection{}; check the server name, and that the trust anchors are this CA's", who(.presented))]
    Tls {
        /// What it presented, if it came that far.
        presented: Option<Box<CertificateSummary>>,
        /// What is wrong with that.
        source: io::Error,
    },
    /// No HTTP/2.
    #[error("no HTTP/2 connection; check that the CA's address is a gRPC port")]
    Http2(#[source] hyper::Error),
    /// A part of it took too long.
    #[error("no connection within {deadline:?}; check the CA's address and the network between")]
    Silent {
        /// What it had.
        deadline: Duration,
    },
    /// Our own.
    #[error("no TLS configuration; please report this")]
    Setup(#[source] rustls::Error),
}

fn who(presented: &Option<Box<CertificateSummary>>) -> String {
    presented
        .as_ref()
        .map_or_else(String::new, |certificate| format!(", for the server presented {certificate}"))
}
