//! What is served on the port of the CA: certificates, the trust bundle, health and reflection.

use std::{
    convert::Infallible,
    task::{Context, Poll, ready},
};

use futures_util::future::Either;
use http::{Request, Response};
use hyper::body::Incoming;
use signet_proto::{
    FILE_DESCRIPTOR_SET,
    istio::v1::auth::istio_certificate_service_server::{IstioCertificateServiceServer, SERVICE_NAME},
    signet::v1::trust_bundle_service_server::{SERVICE_NAME as TRUST_BUNDLE, TrustBundleServiceServer},
};
use tonic::{body::Body, codegen::Service, service::Routes};
use tonic_health::server::HealthReporter;
use tonic_reflection::server::Error as ReflectionError;

use crate::{service::CertificateService, trust_bundle_service::TrustBundleService};

/// Tells the clients of `grpc.health.v1.Health` how the CA is.
#[derive(Clone)]
pub struct Health(HealthReporter);

impl Health {
    /// From now on: no new work, this process is stopping.
    pub async fn draining(&self) {
        for service in SERVICES {
            self.0.set_service_status(service, tonic_health::ServingStatus::NotServing).await;
        }
    }
}

/// All services. Certificates are not behind the router of the others: looking a path up and taking it apart
/// costs a hundredth of an issuance.
#[derive(Clone)]
pub struct CaServices {
    certificates: Certificates,
    others: Routes,
}

type Certificates = IstioCertificateServiceServer<CertificateService>;

impl Service<Request<Incoming>> for CaServices {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<
        <Certificates as Service<Request<Incoming>>>::Future,
        <Routes as Service<Request<Incoming>>>::Future,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        ready!(Service::<Request<Incoming>>::poll_ready(&mut self.certificates, cx))?;
        Service::<Request<Incoming>>::poll_ready(&mut self.others, cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let service = request.uri().path().strip_prefix('/').and_then(|path| path.split('/').next());
        if service == Some(SERVICE_NAME) {
            Either::Left(self.certificates.call(request))
        } else {
            Either::Right(self.others.call(request))
        }
    }
}

/// All services, serving. A request for a certificate may have `max_message_bytes`.
///
/// # Errors
/// The descriptors that reflection shows cannot be read: a fault of this program.
pub async fn services(
    service: CertificateService,
    trust_bundle: TrustBundleService,
    max_message_bytes: usize,
) -> Result<(CaServices, Health), ReflectionError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    for service in SERVICES {
        reporter.set_service_status(service, tonic_health::ServingStatus::Serving).await;
    }
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name(SERVICE_NAME)
            .with_service_name(TRUST_BUNDLE)
            .with_service_name("grpc.health.v1.Health")
    };
    let reflection = described().build_v1()?.max_decoding_message_size(MOST_QUESTION_BYTES);
    // What gRPC for Python asks by.
    let alpha = described().build_v1alpha()?.max_decoding_message_size(MOST_QUESTION_BYTES);
    let health = health.max_decoding_message_size(MOST_QUESTION_BYTES);
    let certificates =
        IstioCertificateServiceServer::new(service).max_decoding_message_size(max_message_bytes);
    let trust_bundle =
        TrustBundleServiceServer::new(trust_bundle).max_decoding_message_size(MOST_QUESTION_BYTES);
    let others = Routes::new(health).add_service(reflection).add_service(alpha).add_service(trust_bundle);
    let others = others.prepare();
    Ok((CaServices { certificates, others }, Health(reporter)))
}

/// What health is told of; the empty name is the process.
const SERVICES: [&str; 3] = ["", SERVICE_NAME, TRUST_BUNDLE];

/// Questions of health and reflection are names, and that for the bundle is empty; the longest of ours has a
/// tenth of this.
const MOST_QUESTION_BYTES: usize = 4 << 10;
