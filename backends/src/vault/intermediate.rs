//! Vault signs an intermediate of ours, and leaves are signed here: Vault may be away for as long as it
//! lives.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls_pki_types::CertificateDer;
use signet_identity::{
    CaCertificate, CaCertificateError, IntermediateFault, IntermediateRequest, KeyError, PrivateKey,
    RequestError, SigningKey, TrustDomain,
};
use tokio::time::Instant;
use vaultrs::api::pki::{requests::SignIntermediateIssuerRequest, responses::SignIntermediateResponse};

use super::{
    VaultError, VaultSession,
    chain::{IssuerChain, each, only, split},
    request::Request,
};

/// An intermediate that Vault signed, with its key, which was made for it and is nowhere else.
pub struct VaultIntermediate {
    /// Signs.
    pub key: Arc<SigningKey>,
    /// Its certificate.
    pub certificate: CaCertificate,
    /// It, and what stands between it and the root.
    pub intermediates: Vec<CertificateDer<'static>>,
    /// What proxies must hold.
    pub roots: Vec<CertificateDer<'static>>,
    /// Who signed it.
    pub issuer: IssuerChain,
}

/// Why there is no intermediate.
#[derive(Debug, thiserror::Error)]
pub enum IntermediateError {
    /// Vault gave none.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// What it gave cannot sign for us.
    #[error("the intermediate that Vault signed cannot be used")]
    Unusable(#[from] CaCertificateError),
    /// What it gave is not what was asked for.
    #[error("the intermediate that Vault signed is not what was asked for")]
    Differs(#[from] IntermediateFault),
    /// No key could be made.
    #[error("cannot make a key")]
    Key(#[from] KeyError),
    /// No request could be made.
    #[error("cannot make a CSR")]
    Request(#[from] RequestError),
}

impl VaultIntermediate {
    /// Makes a key, and has the issuer that is configured certify it.
    ///
    /// # Errors
    /// See [`IntermediateError`].
    pub async fn obtain(
        session: &VaultSession,
        trust_domain: &TrustDomain,
        now: SystemTime,
        deadline: Instant,
    ) -> Result<Self, IntermediateError> {
        let issuer = IssuerChain::read(session.client(), deadline).await?;
        let key = PrivateKey::generate()?;
        let csr = IntermediateRequest::pem(&key, trust_domain)?;
        let pki = &session.client().config().pki;
        // By name and not by id: a policy can name it.
        let request = request(&pki.mount, pki.issuer_name(), csr, pki.intermediate_lifetime)?;
        let answer = session.ask::<SignIntermediateResponse>(&request, deadline).await?;
        if let Some(warning) = answer.warnings.first() {
            tracing::warn!(warning, "Vault does not give what is asked for the intermediate");
        }
        let signed = answer.required(&request.path)?;
        let nonsense = |reason| VaultError::Nonsense { path: request.path.clone(), reason };
        let der = only(&signed.certificate).map_err(nonsense)?;
        let above = each(&signed.ca_chain.unwrap_or_default()).map_err(nonsense)?;
        // The issuer's own chain is known anyway.
        let above = above.into_iter().chain(issuer.intermediates.iter().cloned()).collect();
        let (intermediates, _) = split(&der, above).map_err(nonsense)?;
        let certificate = CaCertificate::from_der(der)?;
        certificate.judge_intermediate(&key, trust_domain, now)?;
        let roots = issuer.roots.clone();
        Ok(Self { key: Arc::new(key.into()), certificate, intermediates, roots, issuer })
    }
}

fn request(mount: &str, issuer: &str, csr: String, lifetime: Duration) -> Result<Request, VaultError> {
    let ttl = Some(format!("{}s", lifetime.as_secs()));
    // The CSR's values give the subject and the SAN; the path length it loses, so it is asked for by itself.
    let request = SignIntermediateIssuerRequest {
        mount: mount.to_owned(),
        csr,
        ttl,
        format: Some("pem".to_owned()),
        use_csr_values: Some(true),
        max_path_length: Some(0),
        ..SignIntermediateIssuerRequest::default()
    };
    Ok(Request::of(&request)?.at(format!("{mount}/issuer/{issuer}/sign-intermediate")))
}
