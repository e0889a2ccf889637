//! What is served on a socket: SDS, health and reflection.

use signet_proto::{
    FILE_DESCRIPTOR_SET, envoy::service::secret::v3::secret_discovery_service_server::SERVICE_NAME,
};
use tonic::service::Routes;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tonic_reflection::server::{Builder, Error as ReflectionError};

use crate::SdsService;

/// Tells the clients of `grpc.health.v1.Health`, on all sockets, how the agent is.
#[derive(Clone)]
pub(crate) struct Health(HealthReporter);

impl Health {
    /// Secrets are served.
    pub(crate) async fn serving() -> Self {
        let health = Self(HealthReporter::new());
        health.set(ServingStatus::Serving).await;
        health
    }

    /// From now on: no new streams, this process is stopping.
    pub(crate) async fn draining(&self) {
        self.set(ServingStatus::NotServing).await;
    }

    async fn set(&self, status: ServingStatus) {
        for service in ["", SERVICE_NAME] {
            self.0.set_service_status(service, status).await;
        }
    }
}

/// All services of one socket.
pub(crate) fn routes(service: SdsService, health: &Health) -> Result<Routes, ReflectionError> {
    let described = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name(SERVICE_NAME)
            .with_service_name("grpc.health.v1.Health")
    };
    let reflection = described().build_v1()?.max_decoding_message_size(MOST_QUESTION_BYTES);
    // What gRPC for Python asks by.
    let alpha = described().build_v1alpha()?.max_decoding_message_size(MOST_QUESTION_BYTES);
    let health = HealthServer::new(HealthService::from_health_reporter(health.0.clone()))
        .max_decoding_message_size(MOST_QUESTION_BYTES);
    let routes = Routes::new(service.into_server()).add_service(health);
    Ok(routes.add_service(reflection).add_service(alpha).prepare())
}

/// Questions of health and reflection are names; the longest of ours has a tenth of this.
const MOST_QUESTION_BYTES: usize = 4 << 10;
