//! The trust bundle for whoever asks: `signet.v1.TrustBundleService`.

use bytes::Bytes;
use signet_identity::TrustBundle;
use signet_proto::signet::v1::{GetTrustBundleRequest, GetTrustBundleResponse, trust_bundle_service_server};
use tonic::{Request, Response, Status};

use crate::{authority::Authority, metrics::Metrics};

/// Says what the authority publishes at the moment of the call, to anybody: a bundle is public.
#[derive(Clone)]
pub struct TrustBundleService {
    authority: Authority,
    metrics: Metrics,
}

impl TrustBundleService {
    /// The service that tells of this authority.
    pub fn new(authority: Authority, metrics: Metrics) -> Self {
        Self { authority, metrics }
    }
}

#[tonic::async_trait]
impl trust_bundle_service_server::TrustBundleService for TrustBundleService {
    async fn get_trust_bundle(
        &self,
        _: Request<GetTrustBundleRequest>,
    ) -> Result<Response<GetTrustBundleResponse>, Status> {
        self.metrics.told_bundle();
        Ok(Response::new(response(&self.authority.bundle())))
    }
}

fn response(bundle: &TrustBundle) -> GetTrustBundleResponse {
    let authorities = bundle.authorities().iter();
    GetTrustBundleResponse {
        trust_domain: bundle.trust_domain().as_str().to_owned(),
        x509_authorities: authorities.map(|authority| Bytes::copy_from_slice(authority)).collect(),
        epoch: bundle.version().map_or(0, |version| version.epoch),
        sequence: bundle.version().map_or(0, |version| version.sequence),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use signet_identity::{BundleVersion, Clock, testing::TestAuthority};

    use super::*;
    use crate::{audit::testing::LogOnDisk, authority::Standing};

    #[tokio::test]
    async fn each_call_is_told_what_is_published_now_whether_or_not_anybody_can_sign() {
        let log = LogOnDisk::new();
        let bundle = |sequence| {
            let root = TestAuthority::new("cluster.local", log.clock.now());
            let version = BundleVersion { epoch: 7, sequence };
            let root = root.certificate().der().clone();
            TrustBundle::new("cluster.local".parse().unwrap(), vec![root], Some(version)).unwrap()
        };
        let (old, new) = (bundle(1), bundle(2));
        let authority =
            Authority::new(Standing::new(None, old.clone()), log.open(), Arc::clone(&log.clock) as _);
        let service = TrustBundleService::new(authority.clone(), Metrics::new());

        for (told, published) in [(&old, None), (&new, Some(&new))] {
            if let Some(published) = published {
                authority.publish(Standing::new(None, published.clone()));
            }
            let answer = ask(&service).await;

            assert_eq!(answer, response(told));
            let version = told.version().unwrap();
            assert_eq!((answer.epoch, answer.sequence), (version.epoch, version.sequence));
        }
    }

    async fn ask(service: &TrustBundleService) -> GetTrustBundleResponse {
        use trust_bundle_service_server::TrustBundleService as _;
        service.get_trust_bundle(Request::new(GetTrustBundleRequest {})).await.unwrap().into_inner()
    }
}
