//! The Istio CA protocol on the wire: Signet's own CA, istiod, istio-csr and whoever else speaks it.

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use http::{Uri, uri::InvalidUri};
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use signet_identity::{SpiffeId, TrustBundle, TrustDomain};
use signet_proto::{
    istio::v1::auth::{
        IstioCertificateRequest, istio_certificate_service_client::IstioCertificateServiceClient,
    },
    signet::v1::{GetTrustBundleRequest, trust_bundle_service_client::TrustBundleServiceClient},
};
use tokio::sync::watch;
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue, errors::InvalidMetadataValue},
};

use super::{
    anchors::{Anchors, AnchorsError},
    answer,
    call::Caller,
    connect::Connector,
    line::{Line, Pace},
    reachability::CaEvent,
};
use crate::{CaClient, CaError, Issued, Outage, Reachability, Token};

/// Where the CA is, whom to expect there, and what for.
#[derive(Debug, Clone)]
pub struct CaEndpoint {
    /// `host:port`.
    pub address: String,
    /// DNS name (or IP address) that the CA's certificate must have.
    pub server_name: String,
    /// File of the PEM certificates that vouch for the CA. Read again when it changes; may appear late.
    pub anchors: PathBuf,
    /// SPIFFE ID that the CA's certificate must have as well. `None` for CAs that have none.
    pub spiffe_id: Option<SpiffeId>,
    /// Trust domain whose bundle the answers carry.
    pub trust_domain: TrustDomain,
    /// Sent as `clusterid`, for CAs that serve several clusters.
    pub cluster_id: Option<String>,
}

impl CaEndpoint {
    /// Whether there are trust anchors to check the CA against, as of now.
    pub fn check_anchors(&self) -> Result<(), AnchorsError> {
        Anchors::read(&self.anchors).map(drop)
    }
}

/// A CA at the other end of one long-lived HTTP/2 connection, shared by all calls.
///
/// The connection is made and made again in the background, with back-off; a call waits for it until its
/// own deadline of 5 s. A call that the CA never saw, because the connection was at the end of its age, is
/// sent once more over the next one. Dropping the client cuts the connection.
#[derive(Debug)]
pub struct IstioCa {
    origin: Uri,
    trust_domain: TrustDomain,
    cluster_id: Option<MetadataValue<Ascii>>,
    caller: Caller,
}

impl IstioCa {
    /// Starts to connect, on the runtime that this is called from.
    pub fn new(endpoint: CaEndpoint) -> Result<Self, EndpointError> {
        Self::with_timing(endpoint, Timing::default())
    }

    /// The same for somebody who waits: `deadline` instead of 5 s, for a connection and for a call.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn with_deadline(endpoint: CaEndpoint, deadline: Duration) -> Result<Self, EndpointError> {
        Self::with_timing(endpoint, Timing { connect: deadline, call: deadline, ..Timing::default() })
    }

    /// Waits for the first attempt to connect and says at once how it ended, where a call would wait for the next one.
    ///
    /// # Errors
    /// [`CaError::Unavailable`].
    pub async fn connected(&self) -> Result<(), CaError> {
        self.caller.line.attempted().await.map_err(|reason| self.caller.disconnected(Some(reason)))
    }

    fn with_timing(endpoint: CaEndpoint, timing: Timing) -> Result<Self, EndpointError> {
        let connector = Connector {
            server_name: ServerName::try_from(endpoint.server_name)?,
            spiffe_id: endpoint.spiffe_id,
            deadline: timing.connect,
            address: endpoint.address.clone(),
        };
        Ok(Self {
            origin: Uri::try_from(format!("https://{}", endpoint.address))?,
            trust_domain: endpoint.trust_domain,
            cluster_id: endpoint.cluster_id.map(MetadataValue::try_from).transpose()?,
            caller: Caller {
                address: endpoint.address,
                deadline: timing.call,
                line: Line::new(connector, endpoint.anchors, timing.pace),
            },
        })
    }

    fn request(
        &self,
        token: &Token,
        csr_pem: &str,
        lifetime: Option<Duration>,
    ) -> Request<IstioCertificateRequest> {
        let seconds = lifetime.map_or(0, |lifetime| lifetime.as_secs());
        let mut request = Request::new(IstioCertificateRequest {
            csr: csr_pem.to_owned(),
            validity_duration: i64::try_from(seconds).unwrap_or(i64::MAX),
            ..IstioCertificateRequest::default()
        });
        request.metadata_mut().insert("authorization", token.bearer());
        if let Some(id) = &self.cluster_id {
            request.metadata_mut().insert("clusterid", id.clone());
        }
        request
    }

    async fn certificate(
        &self,
        token: &Token,
        csr_pem: &str,
        lifetime: Option<Duration>,
    ) -> Result<Issued, CaError> {
        let call = |sender, within| {
            let mut request = self.request(token, csr_pem, lifetime);
            request.set_timeout(within);
            let client = IstioCertificateServiceClient::with_origin(sender, self.origin.clone());
            let mut client = client.max_decoding_message_size(MAX_ANSWER_BYTES);
            async move { client.create_certificate(request).await }
        };
        let response = self.caller.ask(call).await?;
        answer::issued(&response.get_ref().cert_chain, response.metadata(), self.trust_domain.clone())
            .map_err(CaError::MalformedAnswer)
    }

    async fn bundle(&self) -> Result<TrustBundle, CaError> {
        let call = |sender, within| {
            let mut request = Request::new(GetTrustBundleRequest {});
            request.set_timeout(within);
            let client = TrustBundleServiceClient::with_origin(sender, self.origin.clone());
            let mut client = client.max_decoding_message_size(MAX_ANSWER_BYTES);
            async move { client.get_trust_bundle(request).await }
        };
        let response = self.caller.ask(call).await?.into_inner();
        answer::bundle(response, &self.trust_domain).map_err(CaError::MalformedAnswer)
    }
}

#[async_trait]
impl CaClient for IstioCa {
    async fn issue(
        &self,
        token: &Token,
        csr_pem: &str,
        lifetime: Option<Duration>,
    ) -> Result<Issued, CaError> {
        let outcome = self.certificate(token, csr_pem, lifetime).await;
        if let Some(event) = event(&outcome) {
            self.caller.line.note(event);
        }
        outcome
    }

    async fn trust_bundle(&self) -> Result<Option<TrustBundle>, CaError> {
        match self.bundle().await {
            Ok(bundle) => Ok(Some(bundle)),
            Err(error) if error.is_unimplemented() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn reachability(&self) -> watch::Receiver<Reachability> {
        self.caller.line.reachability()
    }
}

/// What the outcome of a call says about the CA. A busy CA is where it was, and a missing or broken
/// connection is noted where it is made.
fn event(outcome: &Result<Issued, CaError>) -> Option<CaEvent> {
    match outcome {
        Ok(_) => Some(CaEvent::Answered),
        Err(CaError::Overloaded(_)) => None,
        Err(CaError::Unavailable(Outage::Disconnected { .. } | Outage::Broken { .. })) => None,
        Err(error) if error.is_answer() => Some(CaEvent::Answered),
        Err(_) => Some(CaEvent::Unserved),
    }
}

/// What an [`IstioCa`] cannot be made of.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The address.
    #[error("the CA's address is not `host:port`")]
    Address(#[from] InvalidUri),
    /// The name.
    #[error("the CA's server name is neither a DNS name nor an IP address")]
    ServerName(#[from] InvalidDnsNameError),
    /// The cluster.
    #[error("the cluster id must be visible ASCII")]
    ClusterId(#[from] InvalidMetadataValue),
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
struct Timing {
    connect: Duration,
    call: Duration,
    pace: Pace,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            call: Duration::from_secs(5),
            pace: Pace {
                first_wait: Duration::from_millis(100),
                longest_wait: Duration::from_secs(5),
                wanted_gap: Duration::from_secs(1),
                stable: Duration::from_secs(10),
                anchors_check: Duration::from_secs(5),
            },
        }
    }
}

/// A chain of ten large certificates takes 30 kB; a bundle of hundreds of roots fits as well.
const MAX_ANSWER_BYTES: usize = 1 << 20;

#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;
