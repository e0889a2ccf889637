//! Vault signs each leaf: an [`Issuer`] that asks `sign/:role`, or `issuer/:ref/sign/:role`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use rustls_pki_types::CertificateDer;
use signet_identity::{Approved, csr_pem};
use tokio::time::Instant;
use vaultrs::api::pki::{requests::SignCertificateRequest, responses::SignCertificateResponse};

use super::{
    IssuerPath, VaultError, VaultSession,
    chain::{only, split},
    error::sanitised,
    request::Request,
};
use crate::{Issuer, IssuerError};

/// Has a role of Vault's PKI sign. What goes into the certificate is what was approved: the identity in `uri_sans`, the
/// names in `alt_names`; a role with `use_csr_sans=false` reads nothing but the key from the CSR.
pub struct VaultLeafIssuer {
    session: Arc<VaultSession>,
    issuer: IssuerPath,
    role: String,
    /// That Vault gives less than was asked for, or did something else, is said once.
    told: AtomicBool,
}

impl VaultLeafIssuer {
    /// Asks `vault.role`, which signs for workloads, at `issuer`.
    pub fn workloads(session: Arc<VaultSession>, issuer: IssuerPath) -> Self {
        let role = session.client().config().pki.role.clone();
        Self { session, issuer, role, told: AtomicBool::new(false) }
    }

    /// Asks `vault.serving_role`, which signs the CA's own certificate, at `issuer`. `None`: there is none.
    pub fn serving(session: Arc<VaultSession>, issuer: IssuerPath) -> Option<Self> {
        let role = session.client().config().pki.serving_role.clone()?;
        Some(Self { session, issuer, role, told: AtomicBool::new(false) })
    }

    fn request(&self, approved: &Approved) -> Result<Request, VaultError> {
        let mount = self.session.client().config().pki.mount.clone();
        let role = &self.role;
        let path = match &self.issuer {
            IssuerPath::OfTheRole => format!("{mount}/sign/{role}"),
            IssuerPath::Issuer(issuer) => format!("{mount}/issuer/{issuer}/sign/{role}"),
        };
        let names = approved.dns_names();
        let request = SignCertificateRequest {
            csr: Some(csr_pem(approved.csr_der())),
            // Vault wants the field, and puts a name in it into the certificate.
            common_name: Some(String::new()),
            alt_names: (!names.is_empty()).then(|| names.join(",")),
            exclude_cn_from_sans: Some(true),
            uri_sans: Some(approved.identity().as_str().to_owned()),
            ttl: Some(format!("{}s", approved.lifetime().as_secs())),
            format: Some("pem".to_owned()),
            ..SignCertificateRequest::default()
        };
        Ok(Request::of(&request)?.at(path))
    }

    fn tell(&self, warnings: &[String]) {
        if !warnings.is_empty() && !self.told.swap(true, Ordering::Relaxed) {
            let warnings: Vec<String> = warnings.iter().take(4).map(|warning| sanitised(warning)).collect();
            tracing::warn!(
                role = self.role,
                ?warnings,
                "Vault does not give what is asked for; this is said once"
            );
        }
    }
}

#[async_trait]
impl Issuer for VaultLeafIssuer {
    async fn issue(
        &self,
        approved: &Approved,
        _now: SystemTime,
        deadline: Instant,
    ) -> Result<Vec<CertificateDer<'static>>, IssuerError> {
        let request = self.request(approved)?;
        let answer = self.session.ask::<SignCertificateResponse>(&request, deadline).await?;
        self.tell(&answer.warnings);
        tracing::debug!(vault_request_id = answer.request_id, "Vault signed a leaf");
        let signed = answer.required(&request.path)?;
        let nonsense = |reason| VaultError::Nonsense { path: request.path.clone(), reason };
        let leaf = only(&signed.certificate).map_err(nonsense)?;
        let above = signed.ca_chain.unwrap_or_default();
        let above = above.iter().map(|pem| only(pem)).collect::<Result<Vec<_>, _>>().map_err(nonsense)?;
        Ok(split(&leaf, above).map_err(nonsense)?.0)
    }
}
