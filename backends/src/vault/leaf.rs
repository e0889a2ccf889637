//! Vault signs each leaf: an [`Issuer`] that asks `sign/:role`, or `issuer/:ref/sign/:role`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use rustls_pki_types::CertificateDer;
use signet_identity::{Approved, SpiffeId, csr_pem};
use tokio::time::Instant;
use vaultrs::api::pki::{requests::SignCertificateRequest, responses::SignCertificateResponse};

use super::{
    IssuerChain, IssuerPath, VaultError, VaultSession,
    chain::{each, only, split},
    error::sanitised,
    request::Request,
};
use crate::{Issuer, IssuerError};

/// What a role is asked for. The role reads nothing but the key from the CSR (`use_csr_sans=false`).
#[derive(Debug, Clone, Copy)]
pub struct LeafRequest<'a> {
    /// One PEM block.
    pub csr_pem: &'a str,
    /// The one URI SAN.
    pub identity: &'a SpiffeId,
    /// The DNS names.
    pub dns_names: &'a [String],
    /// `None` leaves it to the role.
    pub lifetime: Option<Duration>,
}

impl LeafRequest<'_> {
    /// Has `role` sign, at `issuer`: the leaf, then its intermediates, never the root.
    ///
    /// # Errors
    /// Vault does not, or answers something else.
    pub async fn sign(
        &self,
        session: &VaultSession,
        issuer: &IssuerPath,
        role: &str,
        deadline: Instant,
    ) -> Result<Signed, VaultError> {
        let request = self.request(&session.client().config().pki.mount, issuer, role)?;
        let answer = session.ask::<SignCertificateResponse>(&request, deadline).await?;
        let warnings = answer.warnings.iter().take(MOST_WARNINGS).map(|warning| sanitised(warning)).collect();
        tracing::debug!(vault_request_id = answer.request_id, "Vault signed a leaf");
        let signed = answer.required(&request.path)?;
        let nonsense = |reason| VaultError::Nonsense { path: request.path.clone(), reason };
        let leaf = only(&signed.certificate).map_err(nonsense)?;
        let above = each(&signed.ca_chain.unwrap_or_default()).map_err(nonsense)?;
        Ok(Signed { chain: split(&leaf, above).map_err(nonsense)?.0, warnings })
    }

    fn request(&self, mount: &str, issuer: &IssuerPath, role: &str) -> Result<Request, VaultError> {
        let path = match issuer {
            IssuerPath::OfTheRole => format!("{mount}/sign/{role}"),
            IssuerPath::Issuer(issuer) => format!("{mount}/issuer/{issuer}/sign/{role}"),
        };
        let request = SignCertificateRequest {
            csr: Some(self.csr_pem.to_owned()),
            // Vault wants the field, and puts a name in it into the certificate.
            common_name: Some(String::new()),
            alt_names: (!self.dns_names.is_empty()).then(|| self.dns_names.join(",")),
            exclude_cn_from_sans: Some(true),
            uri_sans: Some(self.identity.as_str().to_owned()),
            ttl: self.lifetime.map(|lifetime| format!("{}s", lifetime.as_secs())),
            format: Some("pem".to_owned()),
            ..SignCertificateRequest::default()
        };
        Ok(Request::of(&request)?.at(path))
    }
}

/// What Vault signed; nothing of it is verified.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The leaf, then its intermediates.
    pub chain: Vec<CertificateDer<'static>>,
    /// What Vault did differently than asked.
    pub warnings: Vec<String>,
}

/// Has a role of Vault's PKI sign. What goes into the certificate is what was approved.
pub struct VaultLeafIssuer {
    session: Arc<VaultSession>,
    issuer: IssuerPath,
    /// By default Vault refuses what would outlive its issuer.
    ends: SystemTime,
    role: String,
    /// That Vault gives less than was asked for, or did something else, is said once.
    told: AtomicBool,
}

impl VaultLeafIssuer {
    /// Asks `vault.role`, which signs for workloads, at `issuer`.
    pub fn workloads(session: Arc<VaultSession>, issuer: &IssuerChain) -> Self {
        let role = session.client().config().pki.role.clone();
        Self::of(session, issuer, role)
    }

    /// Asks `vault.serving_role`, which signs the CA's own certificate, at `issuer`. `None`: there is none.
    pub fn serving(session: Arc<VaultSession>, issuer: &IssuerChain) -> Option<Self> {
        let role = session.client().config().pki.serving_role.clone()?;
        Some(Self::of(session, issuer, role))
    }

    fn of(session: Arc<VaultSession>, issuer: &IssuerChain, role: String) -> Self {
        let path = issuer.path(&session.client().config().pki);
        let ends = issuer.certificate.validity().not_after();
        Self { session, issuer: path, ends, role, told: AtomicBool::new(false) }
    }

    fn tell(&self, warnings: &[String]) {
        if !warnings.is_empty() && !self.told.swap(true, Ordering::Relaxed) {
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
        now: SystemTime,
        deadline: Instant,
    ) -> Result<Vec<CertificateDer<'static>>, IssuerError> {
        let request = LeafRequest {
            csr_pem: &csr_pem(approved.csr_der()),
            identity: approved.identity(),
            dns_names: approved.dns_names(),
            lifetime: Some(not_past(self.ends, approved.lifetime(), now)),
        };
        let Signed { chain, warnings } =
            request.sign(&self.session, &self.issuer, &self.role, deadline).await?;
        self.tell(&warnings);
        Ok(chain)
    }
}

/// What to ask for, so that the leaf ends no later than its issuer, by Vault's clock too.
pub(super) fn not_past(end: SystemTime, lifetime: Duration, now: SystemTime) -> Duration {
    let left = end.duration_since(now).unwrap_or_default().saturating_sub(CLOCKS_DIFFER_BY);
    lifetime.min(left).max(Duration::from_secs(1))
}

const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(60);

const MOST_WARNINGS: usize = 4;
