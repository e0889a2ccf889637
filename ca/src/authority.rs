//! The authority: the only holder of an [`Issuer`], and the only way to a certificate.
//!
//! Issuing is five steps, each on the result of the last:
//!
//! 1. one snapshot supplies the issuer, the bundle and the proof, so that no change of authority tears them;
//! 2. the intent is durable in the audit before the key is used;
//! 3. the issuer makes the certificate;
//! 4. it is verified as a peer will verify it;
//! 5. the outcome is durable before the certificate leaves.
//!
//! From 2 on this is a task of its own: a client that resets, or whose deadline passes, takes its request's
//! future with it, but never an issuance half-way.
//!
//! Metrics: `signet_ca_issuance_seconds` (from intent to outcome, both durable) and
//! `signet_ca_issuances_total` by `outcome`: `issued` once it is durable that it was, `failed` for every
//! other end, that the outcome could not be recorded among them.

#[cfg(test)]
mod tests;

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use signet_backends::{Assembler, Issuer, IssuerError};
use signet_identity::{
    Approved, AuthorityProof, CaCertificate, Clock, Expected, KeyError, PrivateKey, RequestError, SvidError,
    TrustBundle, X509Svid,
};
use signet_runtime::{RequestId, telemetry::chain};
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use crate::{
    admission::Admitted,
    audit::{AuditLog, AuditUnavailable, Record, Requester, Signing},
};

/// Issues certificates. Clones share it.
#[derive(Clone)]
pub struct Authority {
    active: Arc<Active>,
    audit: AuditLog,
    clock: Arc<dyn Clock>,
    issuing: TaskTracker,
    metrics: Metrics,
}

/// What signs, and what its leaves are verified by: never one without the other.
struct Active {
    issuer: Assembler,
    key_id: String,
    proof: AuthorityProof,
    bundle: Arc<TrustBundle>,
    bundle_pem: Arc<str>,
}

#[derive(Clone)]
struct Metrics {
    issued: metrics::Counter,
    failed: metrics::Counter,
    issuance_seconds: metrics::Histogram,
}

/// One certificate to be made, and what the audit says of it.
#[derive(Debug)]
pub struct IssueRequest {
    /// Names the request in the audit.
    pub request_id: RequestId,
    /// Who asked.
    pub requester: Requester,
    /// What was decided. Spent by issuing.
    pub approved: Approved,
    /// When nobody waits for the certificate any more.
    pub deadline: Instant,
    /// Held until the outcome is durable, whether or not the client waits for it. None for the CA itself.
    pub place: Option<Admitted>,
}

/// A verified certificate, and the bundle that it was verified by.
#[derive(Debug)]
pub struct Issuance {
    /// The leaf and its intermediates.
    pub svid: X509Svid,
    /// What the certificate's peers must trust.
    pub bundle: Arc<TrustBundle>,
    /// The bundle in PEM, made once per authority and not per answer.
    pub bundle_pem: Arc<str>,
}

/// Why there is no certificate, ordered by whose fault it is. It is in the audit too, unless the audit is
/// why.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The record of it is not durable. If the certificate was made already, it was discarded.
    #[error("no certificate leaves without an audit record")]
    Audit(#[from] AuditUnavailable),
    /// The issuer made none.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The issuer made one that peers would refuse; it was discarded.
    #[error("the issuer made a certificate that peers would refuse")]
    NotVerified(#[source] SvidError),
    /// A fault of ours, recorded as an outcome like any other.
    #[error("issuing panicked; what the panic said is on standard error. Please report it")]
    Panicked,
    /// The process ended first.
    #[error("the process is stopping")]
    Interrupted,
}

/// An authority that must not serve: what it issues would not be accepted.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// It does not sign.
    #[error("authority {key_id} cannot issue a certificate")]
    Issuer {
        /// Of its certificate.
        key_id: String,
        /// Why not.
        source: IssuerError,
    },
    /// It signs, and nobody would believe it.
    #[error(
        "what authority {key_id} signs would be refused. Its key must be that of its certificate, and its \
         certificate must lead to a root of the bundle"
    )]
    NotProven {
        /// Of its certificate.
        key_id: String,
        /// What peers would say.
        source: SvidError,
    },
    /// The throw-away key could not be made: the machine's random numbers fail.
    #[error("cannot make a key")]
    Key(#[from] KeyError),
    /// The throw-away SVID could not be asked for: a fault of ours.
    #[error("cannot request a certificate")]
    Request(#[from] RequestError),
}

impl Authority {
    /// An authority whose signatures are made in this process.
    ///
    /// A throw-away SVID is issued and verified in full under `bundle`; it stands for the arithmetic of all
    /// signatures to come, which are checked in every other respect. It is no issuance: key and certificate
    /// are gone before this returns, and the audit does not know of it.
    ///
    /// # Errors
    /// What it issues would not be accepted; see [`AuthorityError`].
    pub async fn signing_here(
        issuer: Assembler,
        bundle: TrustBundle,
        audit: AuditLog,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuthorityError> {
        let proof = prove(&issuer, &bundle, clock.now()).await?;
        let key_id = issuer.certificate().key_id();
        let bundle_pem = bundle.to_pem().into();
        let active = Arc::new(Active { issuer, key_id, proof, bundle: Arc::new(bundle), bundle_pem });
        let metrics = Metrics {
            issued: metrics::counter!("signet_ca_issuances_total", "outcome" => "issued"),
            failed: metrics::counter!("signet_ca_issuances_total", "outcome" => "failed"),
            issuance_seconds: metrics::histogram!("signet_ca_issuance_seconds"),
        };
        Ok(Self { active, audit, clock, issuing: TaskTracker::new(), metrics })
    }

    /// Issues what was approved. Dropping the future does not stop it. Once draining has begun, nothing is
    /// issued.
    ///
    /// # Errors
    /// See [`IssueError`]. No certificate left the process.
    pub async fn issue(&self, request: IssueRequest) -> Result<Issuance, IssueError> {
        // Draining does not end between the question and the task: the token counts as one.
        let token = self.issuing.token();
        if self.issuing.is_closed() {
            return Err(IssueError::Interrupted);
        }
        let issuing = self.issuing.spawn(self.clone().issue_to_the_end(request));
        drop(token);
        issuing.await.unwrap_or_else(|ended| {
            Err(if ended.is_panic() { IssueError::Panicked } else { IssueError::Interrupted })
        })
    }

    /// What workloads must trust.
    pub fn bundle(&self) -> &Arc<TrustBundle> {
        &self.active.bundle
    }

    /// The certificate that signs.
    pub fn certificate(&self) -> &CaCertificate {
        self.active.issuer.certificate()
    }

    /// Whether it can sign now, as far as its certificate says.
    ///
    /// # Errors
    /// [`IssuerError::AuthorityNotValid`]: its certificate is over, or not valid yet.
    pub fn judge(&self) -> Result<(), IssuerError> {
        let signs = self.certificate().validity().signs_at(self.clock.now());
        let key_id = || self.active.key_id.clone();
        signs.map_err(|source| IssuerError::AuthorityNotValid { key_id: key_id(), source })
    }

    /// Waits until the issuances under way have ended and are audited, at most `grace`; says how many have
    /// not.
    ///
    /// They run on the runtimes of their callers, which must not end before this returns.
    pub async fn drain(&self, grace: Duration) -> usize {
        self.issuing.close();
        match timeout(grace, self.issuing.wait()).await {
            Ok(()) => 0,
            Err(_elapsed) => self.issuing.len(),
        }
    }

    async fn issue_to_the_end(self, request: IssueRequest) -> Result<Issuance, IssueError> {
        let began = Instant::now();
        let active = Arc::clone(&self.active);
        let request_id = request.request_id.as_str();
        let intent = Signing::new(request_id, &request.requester, &request.approved, &active.key_id);
        self.audit.record(&Record::Signing(intent)).await?;
        let certified = caught(active.certify(&request.approved, self.clock.now(), request.deadline)).await;
        let recorded = self.record_outcome(request_id, &certified).await;
        if recorded.is_ok() {
            self.metrics.issuance_seconds.record(began.elapsed());
        }
        let issued = recorded.map_err(IssueError::from).and(certified);
        let counter = if issued.is_ok() { &self.metrics.issued } else { &self.metrics.failed };
        counter.increment(1);
        Ok(active.hand_out(issued?))
    }

    async fn record_outcome(
        &self,
        request_id: &str,
        certified: &Result<X509Svid, IssueError>,
    ) -> Result<(), AuditUnavailable> {
        match certified {
            Ok(svid) => {
                let (serial, validity) = (svid.serial(), svid.validity());
                let (not_before, not_after) = (validity.not_before(), validity.not_after());
                let issued = Record::Issued { request_id, serial: &serial, not_before, not_after };
                self.audit.record(&issued).await
            }
            Err(error) => {
                let reason = chain(error).to_string();
                self.audit.record(&Record::Failed { request_id, reason: &reason }).await
            }
        }
    }
}

impl Active {
    fn hand_out(&self, svid: X509Svid) -> Issuance {
        Issuance { svid, bundle: Arc::clone(&self.bundle), bundle_pem: Arc::clone(&self.bundle_pem) }
    }

    /// Makes the certificate, and checks it as a peer will.
    async fn certify(
        &self,
        approved: &Approved,
        now: SystemTime,
        deadline: Instant,
    ) -> Result<X509Svid, IssueError> {
        let chain = self.issuer.issue(approved, now, deadline).await?;
        X509Svid::verify_signed_here(chain, expected(approved), &self.proof, now)
            .map_err(IssueError::NotVerified)
    }
}

/// What `certifying` gives, or that it panicked: the intent is durable, so there must be an outcome.
async fn caught<T>(certifying: impl Future<Output = Result<T, IssueError>>) -> Result<T, IssueError> {
    let mut certifying = pin!(certifying);
    let poll = |context: &mut Context<'_>| {
        // After a panic it is not polled again, and what it has changed is dropped with it.
        catch_unwind(AssertUnwindSafe(|| certifying.as_mut().poll(context)))
            .unwrap_or(Poll::Ready(Err(IssueError::Panicked)))
    };
    poll_fn(poll).await
}

/// Issues a throw-away SVID, and verifies it in full.
async fn prove(
    issuer: &Assembler,
    bundle: &TrustBundle,
    now: SystemTime,
) -> Result<AuthorityProof, AuthorityError> {
    let signer = issuer.certificate();
    let key = PrivateKey::generate()?;
    let approved =
        Approved::for_the_authority(bundle.trust_domain(), Vec::new(), &key, Duration::from_secs(60))?;
    let chain = issuer.issue(&approved, now, Instant::now() + PROOF_WITHIN).await;
    let chain = chain.map_err(|source| AuthorityError::Issuer { key_id: signer.key_id(), source })?;
    AuthorityProof::from_throw_away(chain, expected(&approved), signer, bundle, now)
        .map_err(|source| AuthorityError::NotProven { key_id: signer.key_id(), source })
}

/// What an authority has for its throw-away SVID.
const PROOF_WITHIN: Duration = Duration::from_secs(10);

fn expected(approved: &Approved) -> Expected<'_> {
    Expected { identity: approved.identity(), public_key: approved.public_key() }
}
