//! `[ca]`: where certificates come from, and how the agent knows that it is there.

use std::path::PathBuf;

use rustls_pki_types::ServerName;
use signet_backends::vault::VaultConfig;
use signet_client::CaEndpoint;
use signet_identity::{SpiffeId, TrustDomain};
use signet_runtime::config::{Section, Setting, one_of};

use super::vault::VaultSection;
use crate::workload::audience::TokenAudience;

/// Where certificates come from.
#[derive(Debug, Clone)]
pub struct CaConfig {
    /// `kind`.
    pub source: Source,
    /// For whom workloads' tokens must be. `None` with a CA, which judges them itself.
    pub audience: Option<TokenAudience>,
}

/// Who signs.
#[derive(Debug, Clone)]
pub enum Source {
    /// `signet` and `istio`. `address` (`host:port`), `server_name` (default: the host), `anchors` (file) and
    /// `cluster_id`.
    Ca(CaEndpoint),
    /// `vault`: `[vault]` says where it is. No CA of ours takes part.
    Vault(Box<VaultConfig>),
}

/// `kind`: what the CA's certificate can be held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It must have the SPIFFE ID of Signet's CA, which no workload can get.
    Signet,
    /// Another CA that speaks the Istio CA protocol: name and anchors alone.
    Istio,
    /// Vault alone.
    Vault,
}

impl CaConfig {
    pub(super) fn read(
        section: &Section<'_>,
        vault: &Section<'_>,
        trust_domain: &TrustDomain,
    ) -> Option<Self> {
        let kind = section.optional("kind", Kind::Signet);
        let audience = section.optional("audience", DEFAULT_AUDIENCE.to_owned());
        let from_vault = VaultSection::read(vault);
        let spiffe_id = (kind == Kind::Signet).then(|| SpiffeId::certificate_authority(trust_domain));
        let endpoint = endpoint(section, spiffe_id, trust_domain);
        Some(match kind {
            Kind::Signet | Kind::Istio => Self { source: Source::Ca(endpoint?), audience: None },
            Kind::Vault => {
                let (config, audience) = from_vault.judged(vault, audience)?;
                Self { source: Source::Vault(Box::new(config)), audience: Some(audience) }
            }
        })
    }
}

fn endpoint(
    section: &Section<'_>,
    spiffe_id: Option<SpiffeId>,
    trust_domain: &TrustDomain,
) -> Option<CaEndpoint> {
    let address = section.maybe("address").or_else(|| Address::parse(DEFAULT_ADDRESS).ok());
    let server_name = section.maybe("server_name");
    let anchors = section.optional("anchors", PathBuf::from(DEFAULT_ANCHORS));
    let cluster_id: Option<Word> = section.maybe("cluster_id");
    let Address { host, port } = address?;
    let server_name = server_name.unwrap_or_else(|| Name(host.clone()));
    Some(CaEndpoint {
        address: format!("{host}:{port}"),
        server_name: server_name.0.trim_matches(['[', ']']).to_owned(),
        anchors,
        spiffe_id,
        trust_domain: trust_domain.clone(),
        cluster_id: cluster_id.map(|word| word.0),
    })
}

impl Setting for Kind {
    fn parse(text: &str) -> Result<Self, String> {
        one_of(text, &[("signet", Self::Signet), ("istio", Self::Istio), ("vault", Self::Vault)])
    }
}

/// A host as it stands in an address (an IPv6 address in brackets), and its port.
struct Address {
    host: String,
    port: u16,
}

impl Setting for Address {
    fn parse(text: &str) -> Result<Self, String> {
        let fault = || format!("`{text}` is no host with a port (want e.g. `{DEFAULT_ADDRESS}`)");
        let (host, port) = text.rsplit_once(':').ok_or_else(fault)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(fault)?;
        let Name(host) = Name::parse(host).map_err(|_| fault())?;
        Ok(Self { host, port })
    }
}

/// A DNS name or an IP address, as a server certificate has it.
struct Name(String);

impl Setting for Name {
    fn parse(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        ServerName::try_from(bare).map(|_| Self(text.to_owned())).map_err(|_| {
            format!("`{text}` is no DNS name or IP address (want e.g. `signet-ca.signet-system.svc`)")
        })
    }
}

/// What can be the value of a header.
struct Word(String);

impl Setting for Word {
    fn parse(text: &str) -> Result<Self, String> {
        let fits = !text.is_empty() && text.len() <= 253 && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned())).ok_or_else(|| {
            format!("`{text}` is no cluster id (want 1 to 253 visible ASCII characters, e.g. `Kubernetes`)")
        })
    }
}

/// What Istio's proxies ask their tokens for.
const DEFAULT_AUDIENCE: &str = "istio-ca";
const DEFAULT_ADDRESS: &str = "signet-ca.signet-system.svc:15012";
const DEFAULT_ANCHORS: &str = "/etc/signet/root-cert.pem";
