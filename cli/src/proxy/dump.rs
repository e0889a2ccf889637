//! Secrets as Envoy's config_dump shows them, private keys redacted.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use signet_identity::CertificateSummary;

/// One secret: what was pushed last, whether Envoy took it or not.
#[derive(Debug, Deserialize)]
pub(super) struct Dump {
    pub(super) name: String,
    #[serde(default)]
    pub(super) version_info: String,
    #[serde(default)]
    pub(super) last_updated: String,
    #[serde(default)]
    secret: Secret,
    error_state: Option<ErrorState>,
}

#[derive(Debug, Default, Deserialize)]
struct Secret {
    tls_certificate: Option<TlsCertificate>,
    validation_context: Option<ValidationContext>,
}

#[derive(Debug, Deserialize)]
struct TlsCertificate {
    #[serde(default)]
    certificate_chain: Source,
}

#[derive(Debug, Deserialize)]
struct ValidationContext {
    #[serde(default)]
    trusted_ca: Source,
}

#[derive(Debug, Default, Deserialize)]
struct Source {
    inline_string: Option<String>,
    /// Base64, as protobuf's JSON has bytes.
    inline_bytes: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ErrorState {
    #[serde(default)]
    details: String,
}

/// What is in a secret.
#[derive(Debug)]
pub(super) enum Kind {
    Certificate(CertificateSummary),
    Roots(Vec<CertificateSummary>),
    /// Nothing, or nothing that can be read.
    Nothing,
}

/// From `/config_dump?resource=...`.
pub(super) fn read(page: &str) -> Result<Vec<Dump>> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default)]
        configs: Vec<Dump>,
    }
    let page: Page = serde_json::from_str(page).context("its config_dump is not understood")?;
    Ok(page.configs)
}

impl Dump {
    /// What can be read of it.
    pub(super) fn kind(&self) -> Kind {
        let Secret { tls_certificate, validation_context } = &self.secret;
        match (tls_certificate, validation_context) {
            (Some(pair), _) => match pair.certificate_chain.certificates().into_iter().next() {
                Some(leaf) => Kind::Certificate(leaf),
                None => Kind::Nothing,
            },
            (None, Some(context)) => Kind::Roots(context.trusted_ca.certificates()),
            (None, None) => Kind::Nothing,
        }
    }

    /// Why it was rejected, from an Envoy that remembers.
    pub(super) fn rejection(&self) -> Option<&str> {
        self.error_state.as_ref().map(|state| state.details.as_str())
    }
}

impl Source {
    fn certificates(&self) -> Vec<CertificateSummary> {
        let bytes = match (&self.inline_string, &self.inline_bytes) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(bytes)) => STANDARD.decode(bytes).unwrap_or_default(),
            (None, None) => vec![],
        };
        let certificates = CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok);
        certificates.filter_map(|certificate| CertificateSummary::of(&certificate).ok()).collect()
    }
}
