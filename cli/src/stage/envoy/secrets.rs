//! How an Envoy asks for its secrets: the SDS cluster, the token on its way there, and the two names.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// One way to the node agent: a cluster of its own, so that one Envoy can ask as several workloads.
#[derive(Debug, Clone)]
pub struct SecretSource {
    /// The name of the cluster.
    pub cluster: String,
    /// The agent's socket.
    pub socket: PathBuf,
    /// How the workload's token gets there.
    pub token: TokenDelivery,
    /// Which of the two SDS variants is spoken.
    pub variant: SdsVariant,
}

/// How a token gets into the metadata of an SDS stream.
#[derive(Debug, Clone)]
pub enum TokenDelivery {
    /// The newest one in this directory, which is replaced as the kubelet does; `token.json` in it says where.
    Injected(PathBuf),
    /// This one for ever, written into the configuration.
    StaticHeader(String),
    /// By gRPC's own client in place of Envoy's, as Istio 1.1 had it: read from this file for each stream, and sent
    /// under this header.
    GoogleGrpc {
        /// The file.
        file: PathBuf,
        /// The header, in lower case.
        header: &'static str,
    },
    /// Not at all: the agent has it.
    ByAgent,
}

/// SDS as Envoy speaks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SdsVariant {
    /// `StreamSecrets`: each answer carries everything.
    StateOfTheWorld,
    /// `DeltaSecrets`: each answer carries what has changed.
    Delta,
}

impl SecretSource {
    /// `default`: the workload's certificate and key.
    pub(super) fn certificate(&self) -> Value {
        json!({"name": "default", "sds_config": self.sds_config()})
    }

    /// `ROOTCA`: whom the workload trusts.
    pub(super) fn bundle(&self) -> Value {
        json!({"name": "ROOTCA", "sds_config": self.sds_config()})
    }

    /// Envoy waits for its first secret for ever (a listener without one answers nobody), and is back within a
    /// second when the agent is: its own back-off goes up to 30 s.
    fn sds_config(&self) -> Value {
        let metadata = match &self.token {
            TokenDelivery::StaticHeader(token) => {
                vec![json!({"key": "authorization", "value": format!("Bearer {token}")})]
            }
            _ => vec![],
        };
        let service = match &self.token {
            TokenDelivery::GoogleGrpc { file, header } => self.google_grpc(file, header),
            _ => json!({
                "envoy_grpc": {
                    "cluster_name": self.cluster,
                    "retry_policy": {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}},
                },
                "initial_metadata": metadata,
            }),
        };
        json!({
            "resource_api_version": "V3",
            "initial_fetch_timeout": "0s",
            "api_config_source": {
                "api_type": match self.variant {
                    SdsVariant::StateOfTheWorld => "GRPC",
                    SdsVariant::Delta => "DELTA_GRPC",
                },
                "transport_api_version": "V3",
                "grpc_services": [service],
            },
        })
    }

    /// Nothing but what it takes: no channel arguments.
    fn google_grpc(&self, token: &Path, header: &str) -> Value {
        let credentials = "envoy.grpc_credentials.file_based_metadata";
        json!({"google_grpc": {
            "target_uri": format!("unix:{}", self.socket.display()),
            "stat_prefix": self.cluster,
            "channel_credentials": {"local_credentials": {}},
            "credentials_factory_name": credentials,
            "call_credentials": [{"from_plugin": {"name": credentials, "typed_config": {
                "@type": "type.googleapis.com/envoy.config.grpc_credential.v3.FileBasedMetadataConfig",
                "secret_data": {"filename": token},
                "header_key": header,
            }}}],
        }})
    }

    /// The cluster that leads to the agent. Pings notice an agent that hangs, which TCP would not.
    pub(super) fn to_cluster(&self) -> Value {
        let mut filters = vec![];
        if let TokenDelivery::Injected(directory) = &self.token {
            filters.push(inject_token(directory));
        }
        filters.push(upstream_codec());
        let options = json!({
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {
                "connection_keepalive": {"interval": "3s", "timeout": "3s"},
            }},
            "http_filters": filters,
        });
        json!({
            "name": self.cluster,
            "type": "STATIC",
            "typed_extension_protocol_options":
                {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
            "load_assignment": {
                "cluster_name": self.cluster,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": self.socket}}}}]}],
            },
        })
    }
}

/// Adds `authorization: Bearer <token>` to each stream, and holds the stream until there is a token.
fn inject_token(directory: &Path) -> Value {
    let secret = json!({
        "name": "token",
        "sds_config": {
            "resource_api_version": "V3",
            "initial_fetch_timeout": "0s",
            "path_config_source": {
                "path": directory.join("token.json"),
                "watched_directory": {"path": directory},
            },
        },
    });
    json!({
        "name": "envoy.filters.http.credential_injector",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
            "overwrite": true,
            "credential": {
                "name": "envoy.http.injected_credentials.generic",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic",
                    "header": "authorization",
                    "header_value_prefix": "Bearer ",
                    "credential": secret,
                },
            },
        },
    })
}

fn upstream_codec() -> Value {
    json!({
        "name": "envoy.filters.http.upstream_codec",
        "typed_config":
            {"@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"},
    })
}
