//! The gRPC edge: requests in, certificates or statuses out.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use signet_identity::{Ask, BundleVersion};
use signet_proto::{
    istio::v1::auth::{IstioCertificateRequest, IstioCertificateResponse, istio_certificate_service_server},
    metadata::{BUNDLE_EPOCH, BUNDLE_SEQUENCE, REQUEST_ID},
};
use signet_runtime::{
    RequestId,
    connection::Deadline,
    line_limit::LineLimit,
    peer::{Origin, Peer},
    telemetry::chain,
};
use tokio::time::Instant;
use tonic::{Extensions, Request, Response, Status, metadata::MetadataMap};

use crate::{
    admission::Admission,
    authn::{AuthnError, Credentials},
    authority,
    issuance::{Asked, Issuance, Refused},
    metrics::Metrics,
    status::{self, Reason},
};

/// `istio.v1.auth.IstioCertificateService`, as Istio's clients have called it from 1.1 to today.
#[derive(Clone)]
pub struct CertificateService(Arc<Parts>);

struct Parts {
    admission: Admission,
    issuance: Issuance,
    metrics: Metrics,
    /// Lines about who is not authenticated, and about crowds.
    strangers: LineLimit,
    /// Lines about what authenticated callers may not have: each has its record in the audit in any case.
    callers: LineLimit,
    /// Lines about what keeps us from issuing: one per request would bury the cause.
    ourselves: LineLimit,
}

impl CertificateService {
    /// The service in front of this walk.
    pub fn new(admission: Admission, issuance: Issuance, metrics: Metrics) -> Self {
        let lines = || LineLimit::new(BURST, PACE);
        Self(Arc::new(Parts {
            admission,
            issuance,
            metrics,
            strangers: lines(),
            callers: lines(),
            ourselves: lines(),
        }))
    }

    async fn issue(
        &self,
        request_id: &RequestId,
        request: Request<IstioCertificateRequest>,
    ) -> Result<authority::Issuance, Refused> {
        let place = self.0.admission.admit().await?;
        let (metadata, extensions, message) = request.into_parts();
        let asked = Asked {
            request_id,
            credentials: Credentials::from_metadata(&metadata).map_err(AuthnError::from)?,
            peer: address(&extensions),
            csr_pem: &message.csr,
            ask: Ask { lifetime: lifetime(message.validity_duration) },
            deadline: deadline(&extensions),
            place,
        };
        self.0.issuance.issue(asked).await
    }

    fn refuse(&self, request_id: &RequestId, refused: &Refused) -> Status {
        let reason = Reason::of(refused);
        self.0.metrics.refused(reason);
        self.log(request_id, reason, refused);
        status::status(reason, status::until(refused), request_id)
    }

    /// Lines are bounded by kind, so that none is buried by another. Who was refused and why is in the audit,
    /// whole, if the caller is authenticated.
    fn log(&self, request_id: &RequestId, reason: Reason, refused: &Refused) {
        let admitted = match refused {
            Refused::Csr(_) | Refused::Denied(_) => self.0.callers.admit(),
            Refused::Audit(_) | Refused::Authority(_) => self.0.ourselves.admit(),
            Refused::Overloaded(_) | Refused::Authentication(_) => self.0.strangers.admit(),
        };
        let Some(suppressed) = admitted else { return };
        let (reason, error) = (reason.label(), chain(refused));
        match refused {
            Refused::Audit(_) | Refused::Authority(_) => {
                tracing::error!(%request_id, reason, %error, suppressed, "certificate not issued");
            }
            _ => tracing::info!(%request_id, reason, %error, suppressed, "certificate refused"),
        }
    }
}

#[tonic::async_trait]
impl istio_certificate_service_server::IstioCertificateService for CertificateService {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        let started = Instant::now();
        let request_id = RequestId::random();
        match self.issue(&request_id, request).await {
            Ok(issued) => {
                self.0.metrics.answered(started.elapsed());
                Ok(response(&request_id, &issued))
            }
            Err(refused) => Err(self.refuse(&request_id, &refused)),
        }
    }
}

/// The layout that Istio's clients read: leaf, one element per intermediate, all roots together in the last.
fn response(request_id: &RequestId, issued: &authority::Issuance) -> Response<IstioCertificateResponse> {
    let mut cert_chain = issued.svid.to_pem_elements();
    cert_chain.push(issued.bundle_pem.to_string());
    let mut response = Response::new(IstioCertificateResponse { cert_chain });
    describe(response.metadata_mut(), request_id, issued.bundle.version());
    response
}

fn describe(metadata: &mut MetadataMap, request_id: &RequestId, version: Option<BundleVersion>) {
    request_id.add_to(metadata, REQUEST_ID);
    if let Some(version) = version {
        metadata.insert(BUNDLE_EPOCH, version.epoch.into());
        metadata.insert(BUNDLE_SEQUENCE, version.sequence.into());
    }
}

/// Zero and less mean the default, as in Istio; what is above the maximum is cut by the policy.
fn lifetime(seconds: i64) -> Option<Duration> {
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

fn address(extensions: &Extensions) -> Option<SocketAddr> {
    match extensions.get::<Peer>()?.origin() {
        Origin::Tcp(address) => Some(*address),
        Origin::Unix(_) => None,
    }
}

/// The connection says it; a request that came another way has what a client of ours would give it.
fn deadline(extensions: &Extensions) -> Instant {
    extensions.get().map_or_else(|| Instant::now() + Duration::from_secs(5), |Deadline(deadline)| *deadline)
}

/// Lines of a kind at once, and the pace of further ones.
const BURST: u32 = 20;
const PACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_of_zero_or_less_is_the_default() {
        for (seconds, expected) in [
            (i64::MIN, None),
            (-1, None),
            (0, None),
            (1, Some(Duration::from_secs(1))),
            (i64::MAX, Some(Duration::from_secs(i64::MAX as u64))),
        ] {
            assert_eq!(lifetime(seconds), expected, "{seconds}");
        }
    }
}
