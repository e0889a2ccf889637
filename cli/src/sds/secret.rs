//! A secret as a proxy takes it: read, and looked at for what a proxy, or its peers, would not take.

use std::fs;
use std::time::SystemTime;

use rustls::crypto::ring::sign::any_supported_type;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use signet_client::sds::PushedSecret;
use signet_identity::{CertificateSummary, MAX_CHAIN, SpiffeId, TrustBundle, verify_path};
use signet_proto::envoy::config::core::v3::DataSource;
use signet_proto::envoy::config::core::v3::data_source::Specifier;
use signet_proto::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use signet_runtime::telemetry::chain as told;
use zeroize::Zeroizing;

/// What a secret is.
#[derive(Debug)]
pub(crate) enum Content {
    /// Who the proxy is.
    Identity(Box<Identity>),
    /// Whom it trusts.
    Roots(Vec<CertificateDer<'static>>),
    /// Neither, and why.
    Nothing(String),
}

/// A chain and its key.
#[derive(Debug)]
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    leaf: CertificateSummary,
    key_pem: Zeroizing<Vec<u8>>,
}

impl Content {
    /// Reads a secret. Sources that name a file are read from it, as a proxy would.
    pub(crate) fn of(pushed: &PushedSecret) -> Self {
        let read = match &pushed.secret.r#type {
            Some(Type::TlsCertificate(pair)) => {
                Identity::read(bytes(pair.certificate_chain.as_ref()), bytes(pair.private_key.as_ref()))
                    .map(|identity| Self::Identity(Box::new(identity)))
            }
            Some(Type::ValidationContext(context)) => {
                certificates(&bytes(context.trusted_ca.as_ref())).map(Self::Roots)
            }
            None => Err("neither a certificate nor roots: a proxy rejects it".to_owned()),
        };
        read.unwrap_or_else(Self::Nothing)
    }

    /// What a proxy would choke on, or its peers. `roots` are those that the agent gave beside it, if any.
    pub(crate) fn concerns(&self, roots: Option<&[CertificateDer<'static>]>, now: SystemTime) -> Vec<String> {
        match self {
            Self::Identity(identity) => identity.concerns(roots, now),
            Self::Roots(roots) => root_concerns(roots, now),
            Self::Nothing(fault) => vec![fault.clone()],
        }
    }
}

impl Identity {
    /// From PEM.
    pub(crate) fn read(chain: Vec<u8>, key_pem: Vec<u8>) -> Result<Self, String> {
        let key_pem = Zeroizing::new(key_pem);
        let chain = certificates(&chain)?;
        let leaf = chain.first().map(|leaf| CertificateSummary::of(leaf));
        let leaf = leaf.ok_or("a certificate chain without a certificate: a proxy rejects it")?;
        let leaf =
            leaf.map_err(|fault| format!("its leaf cannot be read, a proxy rejects it: {}", told(&fault)))?;
        Ok(Self { chain, leaf, key_pem })
    }

    /// The leaf, then its intermediates.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// What the leaf says.
    pub(crate) fn leaf(&self) -> &CertificateSummary {
        &self.leaf
    }

    /// The private key. Secret.
    pub(crate) fn key_pem(&self) -> &[u8] {
        &self.key_pem
    }

    /// The private key. Secret.
    pub(crate) fn key(&self) -> Option<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_slice(&self.key_pem).ok()
    }

    fn concerns(&self, roots: Option<&[CertificateDer<'static>]>, now: SystemTime) -> Vec<String> {
        let mut concerns = Vec::new();
        let validity = self.leaf.validity();
        if self.leaf.is_ca() {
            concerns.push(
                "the first certificate is a CA's, where the leaf should be: a proxy rejects it".to_owned(),
            );
        }
        concerns.extend(self.key_concern());
        if now > validity.not_after() {
            concerns.push("the leaf has expired: a proxy takes it, and its peers do not".to_owned());
        } else if now < validity.not_before() {
            concerns.push("the leaf is not valid yet: a proxy takes it, and its peers do not".to_owned());
        }
        if self.leaf.uris().len() != 1 {
            concerns.push(format!("the leaf has {} URI names, an SVID one", self.leaf.uris().len()));
        }
        if self.chain.len() > MAX_CHAIN {
            concerns.push(format!(
                "the chain has {} certificates, and peers follow {MAX_CHAIN}",
                self.chain.len()
            ));
        }
        if let Some(Err(fault)) =
            roots.filter(|_| validity.contains(now)).map(|roots| self.leads_to(roots, now))
        {
            concerns.push(format!("peers that hold these roots refuse it (no intermediate?): {fault}"));
        }
        concerns
    }

    fn key_concern(&self) -> Option<String> {
        if self.key_pem.is_empty() {
            return Some("it has no private key: a proxy rejects it".to_owned());
        }
        let Some(Ok(key)) = self.key().map(|key| any_supported_type(&key)) else {
            return Some("its private key cannot be read: a proxy rejects it".to_owned());
        };
        let fits = key.public_key().is_none_or(|public| public.as_ref() == self.leaf.spki_der());
        (!fits).then(|| "the private key is not the leaf's: a proxy rejects it".to_owned())
    }

    fn leads_to(&self, roots: &[CertificateDer<'static>], now: SystemTime) -> Result<(), String> {
        // Which trust domain it is makes no difference to a path; that it is a workload's name is another check.
        let Some(identity) = self.leaf.uris().first().and_then(|uri| uri.parse::<SpiffeId>().ok()) else {
            return Err("its leaf has no SPIFFE ID".to_owned());
        };
        let bundle = TrustBundle::new(identity.trust_domain().clone(), roots.to_vec(), None)
            .map_err(|fault| fault.to_string())?;
        verify_path(&self.chain, &bundle, now).map_err(|fault| told(&fault).to_string())
    }
}

fn root_concerns(roots: &[CertificateDer<'static>], now: SystemTime) -> Vec<String> {
    let mut concerns = Vec::new();
    if roots.is_empty() {
        concerns.push("no root in it: a proxy rejects it".to_owned());
    }
    for root in roots {
        match CertificateSummary::of(root) {
            Err(fault) => concerns.push(format!("a root cannot be read: {}", told(&fault))),
            Ok(root) if !root.is_ca() => {
                concerns.push(format!("root {} is no CA's certificate: nothing leads to it", root.serial()));
            }
            Ok(root) if !root.validity().contains(now) => {
                concerns.push(format!("root {} is not valid now", root.serial()));
            }
            Ok(_) => {}
        }
    }
    concerns
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    certificates.map_err(|fault| format!("its PEM is broken, a proxy rejects it: {fault}"))
}

fn bytes(source: Option<&DataSource>) -> Vec<u8> {
    match source.and_then(|source| source.specifier.as_ref()) {
        Some(Specifier::InlineString(text)) => text.as_bytes().to_vec(),
        Some(Specifier::InlineBytes(bytes)) => bytes.to_vec(),
        Some(Specifier::Filename(name)) => fs::read(name).unwrap_or_default(),
        None => Vec::new(),
    }
}
