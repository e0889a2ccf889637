//! A CSR in a straight line: who is calling, what is asked for, whether that may be, and the certificate.
//!
//! Every way to ask for a certificate walks here. Each step takes what only the step before it can make, and
//! work on hostile bytes comes after authentication.

use std::{net::SocketAddr, sync::Arc};

use signet_identity::{Approved, Ask, Caller, Csr, CsrError, Denied, IssuingPolicy};
use signet_runtime::{RequestId, telemetry::chain};
use tokio::time::Instant;

use crate::{
    admission::{Admitted, Overloaded},
    audit::{AuditLog, AuditUnavailable, Record, Requester},
    authn::{Authentication, AuthnError, Credentials},
    authority::{self, Authority, IssueError, IssueRequest},
};

/// The walk, with all it needs.
pub struct Issuance {
    authentication: Arc<Authentication>,
    policy: IssuingPolicy,
    authority: Authority,
    audit: AuditLog,
}

/// One request, as it came; nothing of it is proven.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Its name in answer, log and audit.
    pub request_id: &'a RequestId,
    /// What the caller shows.
    pub credentials: Credentials<'a>,
    /// Where it came from, if over TCP; for the audit.
    pub peer: Option<SocketAddr>,
    /// The CSR.
    pub csr_pem: &'a str,
    /// What is wanted beside it.
    pub ask: Ask,
    /// When the client no longer waits.
    pub deadline: Instant,
    /// Its place among the requests under way.
    pub place: Admitted,
}

/// Why there is no certificate. For the operator's log; what the caller learns is made of it by `status`.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Too much is under way.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// Nobody is proven to be calling.
    #[error(transparent)]
    Authentication(#[from] AuthnError),
    /// The CSR is no CSR of ours.
    #[error("the CSR is refused")]
    Csr(#[from] CsrError),
    /// The caller may not have what it asks for.
    #[error("the caller may not have this")]
    Denied(#[from] Denied),
    /// What must be recorded cannot be.
    #[error(transparent)]
    Audit(#[from] AuditUnavailable),
    /// The authority did not issue.
    #[error(transparent)]
    Authority(#[from] IssueError),
}

impl Issuance {
    /// The walk with these.
    pub fn new(
        authentication: Arc<Authentication>,
        policy: IssuingPolicy,
        authority: Authority,
        audit: AuditLog,
    ) -> Self {
        Self { authentication, policy, authority, audit }
    }

    /// Issues what is asked for, if it may be.
    ///
    /// # Errors
    /// See [`Refused`]. Once the caller is authenticated, the refusal is in the audit log before it is
    /// returned.
    pub async fn issue(&self, asked: Asked<'_>) -> Result<authority::Issuance, Refused> {
        let caller = self.authentication.authenticate(asked.credentials).await?;
        let requester = Requester::Caller { caller: Arc::clone(&caller), peer: asked.peer };
        let request_id = asked.request_id;
        match self.decide(&caller, asked.csr_pem, asked.ask) {
            Ok(approved) => {
                let request = IssueRequest {
                    request_id: request_id.clone(),
                    requester,
                    approved,
                    deadline: asked.deadline,
                    place: Some(asked.place),
                };
                Ok(self.authority.issue(request).await?)
            }
            Err(refused) => {
                self.audit(request_id, &requester, &refused).await?;
                Err(refused)
            }
        }
    }

    async fn audit(
        &self,
        request_id: &RequestId,
        requester: &Requester,
        refused: &Refused,
    ) -> Result<(), AuditUnavailable> {
        let reason = chain(refused).to_string();
        let request_id = request_id.as_str();
        self.audit.record(&Record::Refused { request_id, requester, reason: &reason }).await
    }

    fn decide(&self, caller: &Caller, csr_pem: &str, ask: Ask) -> Result<Approved, Refused> {
        let csr = Csr::from_pem(csr_pem)?;
        Ok(signet_identity::approve(caller, csr, ask, &self.policy)?)
    }
}
