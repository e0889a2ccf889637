//! `--ca` and its company: whom to ask for certificates, and how to know that it is there.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use signet_client::CaEndpoint;
use signet_identity::{SpiffeId, TrustDomain};

use crate::outcome::Usage;

/// A CA that speaks the Istio CA protocol. Named as in `[ca]` of the agent's configuration.
#[derive(Debug, Clone, Args)]
pub(crate) struct CaFlags {
    /// Where the CA listens
    #[arg(long, value_name = "HOST:PORT", env = "SIGNET_CA", default_value = "127.0.0.1:15012")]
    ca: String,
    /// PEM certificates that vouch for the CA, such as root-cert.pem in its state directory
    #[arg(long, value_name = "FILE", env = "SIGNET_ANCHORS")]
    anchors: PathBuf,
    /// DNS name or IP address that the CA's certificate must have [default: the host of --ca]
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// What the CA's certificate is held to
    #[arg(long, value_enum, default_value_t)]
    ca_kind: Kind,
    /// Trust domain of the certificates that are asked for
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    trust_domain: TrustDomain,
    /// Sent as `clusterid`, for CAs that serve several clusters
    #[arg(long, value_name = "ID")]
    cluster_id: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// It has the SPIFFE ID of Signet's CA, besides name and anchors
    #[default]
    Signet,
    /// Name and anchors alone: istiod, istio-csr and others
    Istio,
}

impl CaFlags {
    /// Of the certificates that are asked for.
    pub(crate) fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The CA that they describe.
    ///
    /// # Errors
    /// `--ca` is no host with a port.
    pub(crate) fn endpoint(&self) -> Result<CaEndpoint> {
        let port = |(host, port): (&'_ str, &str)| port.parse::<u16>().ok().map(|_| host.to_owned());
        let host = self.ca.rsplit_once(':').and_then(port).ok_or_else(|| {
            Usage(format!("--ca `{}` is no host with a port: give e.g. localhost:15012", self.ca))
        })?;
        let server_name = self.server_name.clone().unwrap_or(host);
        Ok(CaEndpoint {
            address: self.ca.clone(),
            server_name: server_name.trim_matches(['[', ']']).to_owned(),
            anchors: self.anchors.clone(),
            spiffe_id: (self.ca_kind == Kind::Signet)
                .then(|| SpiffeId::certificate_authority(&self.trust_domain)),
            trust_domain: self.trust_domain.clone(),
            cluster_id: self.cluster_id.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        ca: CaFlags,
    }

    #[test]
    fn the_server_is_called_as_it_is_reached_unless_said_otherwise() {
        for (flags, name) in [
            (&["--ca", "ca.example:15012"][..], "ca.example"),
            (&["--ca", "[::1]:15012"], "::1"),
            (&["--ca", "127.0.0.1:1", "--server-name", "localhost"], "localhost"),
        ] {
            assert_eq!(endpoint(flags).unwrap().server_name, name, "{flags:?}");
        }
    }

    #[test]
    fn only_signets_ca_is_held_to_its_spiffe_id() {
        let ours = endpoint(&["--trust-domain", "td.example"]).unwrap().spiffe_id.unwrap();
        assert_eq!(ours.trust_domain().as_str(), "td.example");
        assert_eq!(endpoint(&["--ca-kind", "istio"]).unwrap().spiffe_id, None);
    }

    #[test]
    fn an_address_without_a_port_is_a_fault_of_the_command_line() {
        for address in ["ca.example", "ca.example:", "ca.example:http", "ca.example:70000"] {
            let error = endpoint(&["--ca", address]).unwrap_err();
            assert!(error.is::<Usage>() && error.to_string().contains(address), "{error}");
        }
    }

    fn endpoint(flags: &[&str]) -> Result<CaEndpoint> {
        let line = ["ask", "--anchors", "root-cert.pem"].iter().chain(flags);
        Line::try_parse_from(line).unwrap().ca.endpoint()
    }
}
