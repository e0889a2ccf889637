//! The port to a certificate authority, and what comes back from it.

mod anchors;
mod answer;
mod backoff;
mod call;
mod connect;
mod istio;
mod line;
mod pinned;
mod reachability;
mod refusal;

use std::{error::Error, sync::Arc, time::Duration};

use async_trait::async_trait;
use rustls::pki_types::CertificateDer;
use signet_identity::{BundleError, TrustBundle, TrustDomain};
use tokio::sync::watch;
use tonic::Code;

use crate::{Token, TokenHash};
pub use anchors::AnchorsError;
pub use istio::{CaEndpoint, EndpointError, IstioCa};
pub use reachability::{CaEvent, Reachability};
pub use refusal::Refusal;

/// Somebody who signs CSRs for the holder of a token.
#[async_trait]
pub trait CaClient: Send + Sync + 'static {
    /// Asks for a certificate. `lifetime`: `None` leaves it to the CA, which may cut it in any case.
    ///
    /// Answers within the deadline of a call, whatever the CA does. May be dropped at any point.
    async fn issue(
        &self,
        token: &Token,
        csr_pem: &str,
        lifetime: Option<Duration>,
    ) -> Result<Issued, CaError>;

    /// Asks for the roots of the trust domain alone. `None`: this CA does not offer it, and its roots come
    /// with certificates only.
    ///
    /// Needs no token and is cheap: it may be asked once a minute, whether or not it can sign. So what
    /// becomes of it says nothing of [`CaClient::reachability`]. Answers within the deadline of a call. May
    /// be dropped at any point.
    async fn trust_bundle(&self) -> Result<Option<TrustBundle>, CaError>;

    /// Whether the CA can be had, as its last answer or silence told. Changes to [`Reachability::Reachable`]
    /// wake whoever waits for the CA's return. Each new connection shows as a change, be it to the same.
    fn reachability(&self) -> watch::Receiver<Reachability>;

    /// Nobody shows this token any more: what is held for it is of no more use. Returns at once, and a CA that holds
    /// nothing does nothing.
    fn release(&self, _token: TokenHash) {}
}

/// What a CA answered: well-formed certificates, and nothing more is known of them.
/// `X509Svid::verify` is what makes an identity of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Leaf first, then the intermediates.
    pub chain: Vec<CertificateDer<'static>>,
    /// The roots that came with it. Its version is `None` from a CA that sends none.
    pub bundle: TrustBundle,
}

/// Why there is no certificate, ordered by whose fault it is. `Display` says what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CaError {
    /// The CA does not accept the token. The same token will fare no better.
    #[error(
        "the CA refused the token: {0}; the workload needs a fresh token of the issuer and audience that the CA expects"
    )]
    TokenRefused(Refusal),
    /// The CA knows the caller and refuses what it asks for. The same CSR will fare no better.
    #[error("the CA refused the request: {0}; its log and audit tell the reason under the request id")]
    Denied(Refusal),
    /// The CA has too much to do.
    #[error("the CA is overloaded: {0}; it is asked again by itself")]
    Overloaded(Refusal),
    /// There was no CA to be had, or it could not serve this request.
    #[error("the CA is unavailable; it is asked again by itself")]
    Unavailable(#[source] Outage),
    /// The answer makes no sense.
    #[error("the CA's answer is malformed; check that its address is that of an Istio-compatible CA")]
    MalformedAnswer(#[source] AnswerFault),
}

impl CaError {
    /// The CA's own word on when to ask again (`google.rpc.RetryInfo`).
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal().and_then(|refusal| refusal.retry_after)
    }

    /// Whether a CA that is there, and not overloaded, said so. UNAVAILABLE is about this one request, as far as anybody can
    /// tell: the keys of one token's issuer may be away, and other tokens fare better.
    ///
    /// A CA that says its time is over was as silent as one that says nothing. And some statuses are no word of a CA: tonic makes OUT_OF_RANGE of an
    /// answer that is too large and UNKNOWN of one that is no gRPC, and UNIMPLEMENTED is the word of another server.
    pub fn is_answer(&self) -> bool {
        match self {
            Self::TokenRefused(_) | Self::Denied(_) => true,
            Self::Unavailable(Outage::Answered(refusal)) => !matches!(
                refusal.code,
                Code::DeadlineExceeded
                    | Code::Cancelled
                    | Code::OutOfRange
                    | Code::Unimplemented
                    | Code::Unknown
            ),
            Self::Overloaded(_) | Self::Unavailable(_) | Self::MalformedAnswer(_) => false,
        }
    }

    /// Whether it is the word of a server that does not know the call.
    pub fn is_unimplemented(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.code == Code::Unimplemented)
    }

    /// Whether nobody was there, or nobody had time or room: any other call would have fared no better.
    pub fn is_absence(&self) -> bool {
        match self {
            Self::Unavailable(outage) => !matches!(outage, Outage::Answered(_)),
            Self::Overloaded(_) => true,
            Self::TokenRefused(_) | Self::Denied(_) | Self::MalformedAnswer(_) => false,
        }
    }

    /// Finds this failure in the CA's log.
    pub fn request_id(&self) -> Option<&str> {
        self.refusal().and_then(|refusal| refusal.request_id.as_deref())
    }

    fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::TokenRefused(refusal)
            | Self::Denied(refusal)
            | Self::Overloaded(refusal)
            | Self::Unavailable(Outage::Answered(refusal)) => Some(refusal),
            Self::Unavailable(_) | Self::MalformedAnswer(_) => None,
        }
    }
}

/// What stood between the caller and a certificate.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Outage {
    /// There is no connection, and the last attempt at one failed.
    #[error("no connection to {address}")]
    Disconnected {
        /// `host:port` of the CA.
        address: String,
        /// Of the last attempt. `None`: the first one still runs.
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// There is a connection, and whoever is there serves nobody.
    #[error("{address} does not serve")]
    NotServing {
        /// Of the CA.
        address: String,
        /// What it says.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The connection broke under the call.
    #[error("the connection to {address} broke")]
    Broken {
        /// `host:port` of the CA.
        address: String,
        /// What the transport said.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The CA took the call and was silent until the deadline.
    #[error("{address} did not answer within {deadline:?}")]
    NoAnswer {
        /// `host:port` of the CA.
        address: String,
        /// How long it had.
        deadline: Duration,
    },
    /// The CA said so itself.
    #[error("{0}")]
    Answered(Refusal),
}

/// What is wrong with an answer of the CA.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// Fewer than a leaf and a root, or more elements than any chain has.
    #[error("it has {count} elements where {min} to {max} make a chain and its roots")]
    Elements {
        /// As they came.
        count: usize,
        /// Least that make sense.
        min: usize,
        /// Most that are accepted.
        max: usize,
    },
    /// An element that is not PEM certificates and nothing else.
    #[error("element {index} is not made of PEM certificates")]
    NotCertificates {
        /// Counted from 0.
        index: usize,
    },
    /// The roots are those of another trust domain than was asked for.
    #[error("its roots are those of the trust domain {told:?}, and {wanted} is configured")]
    TrustDomain {
        /// As it came, cut to what fits a log line.
        told: String,
        /// Whose roots are wanted.
        wanted: TrustDomain,
    },
    /// The roots make no bundle.
    #[error("its roots make no trust bundle")]
    Bundle(#[source] BundleError),
}
