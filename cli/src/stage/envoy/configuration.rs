//! Envoy configurations of two kinds of sidecar, as JSON (Envoy reads it as it reads YAML).
//!
//! Every request makes a handshake of its own, and a failed handshake fails its request: connections serve one
//! request, no session is resumed, nothing is tried again. Pooled or resumed connections would hide what these
//! configurations are there to show.

use serde_json::{Value, json};
use signet_identity::SpiffeId;

use super::SecretSource;

/// The sidecar of a server: mTLS comes in, plain HTTP goes to the application.
#[derive(Debug, Clone)]
pub struct ServerSidecar {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// Where it gets its certificate.
    pub secrets: SecretSource,
    /// The one identity that may call.
    pub accepts: SpiffeId,
    /// Where the application listens, on 127.0.0.1.
    pub application: u16,
}

/// The sidecar of clients: plain HTTP comes in, mTLS goes out.
#[derive(Debug, Clone)]
pub struct ClientSidecar {
    /// One a workload that shares this sidecar.
    pub routes: Vec<Route>,
}

/// From a port on 127.0.0.1 to a server, in the name of one workload.
#[derive(Debug, Clone)]
pub struct Route {
    /// What it is called in statistics.
    pub name: String,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// Where it gets its certificate.
    pub secrets: SecretSource,
    /// Where the server's sidecar listens, on 127.0.0.1.
    pub server: u16,
    /// Whom it must be talking to.
    pub expects: SpiffeId,
}

impl ServerSidecar {
    pub(super) fn bootstrap(&self, admin: u16) -> Value {
        let connection_manager = connection_manager("inbound", "application", Caller::Tell);
        let listener = json!({
            "name": "inbound",
            "stat_prefix": "inbound",
            "address": loopback(self.port),
            "filter_chains": [{
                "transport_socket": self.transport_socket(),
                "filters": [connection_manager],
            }],
        });
        let application = json!({
            "name": "application",
            "type": "STATIC",
            "load_assignment": assignment("application", self.application),
        });
        bootstrap("server", admin, &[listener], &[application, self.secrets.to_cluster()])
    }

    fn transport_socket(&self) -> Value {
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "require_client_certificate": true,
                "disable_stateless_session_resumption": true,
                "disable_stateful_session_resumption": true,
                "common_tls_context": common_tls_context(&self.secrets, &self.accepts),
            },
        })
    }
}

impl ClientSidecar {
    pub(super) fn bootstrap(&self, admin: u16) -> Value {
        let listeners: Vec<_> = self.routes.iter().map(Route::to_listener).collect();
        let servers = self.routes.iter().map(Route::to_cluster);
        let agents = self.routes.iter().map(|route| route.secrets.to_cluster());
        bootstrap("client", admin, &listeners, &servers.chain(agents).collect::<Vec<_>>())
    }
}

impl Route {
    fn to_listener(&self) -> Value {
        json!({
            "name": self.name,
            "address": loopback(self.port),
            "filter_chains": [{"filters": [connection_manager(&self.name, &self.name, Caller::Drop)]}],
        })
    }

    fn to_cluster(&self) -> Value {
        json!({
            "name": self.name,
            "type": "STATIC",
            "load_assignment": assignment(&self.name, self.server),
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"max_requests_per_connection": 1},
                "explicit_http_config": {"http_protocol_options": {}},
            }},
            "transport_socket": {
                "name": "envoy.transport_sockets.tls",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                    "max_session_keys": 0,
                    "common_tls_context": common_tls_context(&self.secrets, &self.expects),
                },
            },
        })
    }
}

/// TLS 1.3 and nothing else (between two Envoys the default is 1.2), our certificate, and one peer.
fn common_tls_context(secrets: &SecretSource, peer: &SpiffeId) -> Value {
    json!({
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_3",
            "tls_maximum_protocol_version": "TLSv1_3",
        },
        "tls_certificate_sds_secret_configs": [secrets.certificate()],
        "combined_validation_context": {
            "default_validation_context": {
                "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": peer.as_str()}}],
            },
            "validation_context_sds_secret_config": secrets.bundle(),
        },
    })
}

/// What comes from the peer as `x-forwarded-client-cert` is dropped (`Drop`), or dropped and written anew with the
/// identity that the peer has proven (`Tell`).
#[derive(Clone, Copy)]
enum Caller {
    Drop,
    Tell,
}

/// Everything that comes in goes to one cluster, once.
fn connection_manager(stat_prefix: &str, cluster: &str, caller: Caller) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    });
    let everything = json!({"match": {"prefix": "/"}, "route": {"cluster": cluster}});
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/\
                envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": stat_prefix,
            "http_filters": [router],
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [everything]}]},
            "forward_client_cert_details": match caller {
                Caller::Drop => "SANITIZE",
                Caller::Tell => "SANITIZE_SET",
            },
            "set_current_client_cert_details": {"subject": true, "uri": true},
        },
    })
}

fn assignment(cluster: &str, port: u16) -> Value {
    let endpoint = json!({"endpoint": {"address": loopback(port)}});
    json!({"cluster_name": cluster, "endpoints": [{"lb_endpoints": [endpoint]}]})
}

fn loopback(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn bootstrap(node: &str, admin: u16, listeners: &[Value], clusters: &[Value]) -> Value {
    json!({
        "node": {"id": node, "cluster": "signet"},
        "admin": {"address": loopback(admin)},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    })
}
