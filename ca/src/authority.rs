//! The authority: the only holder of an [`Issuer`](signet_backends::Issuer), and the only way to a certificate.
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

mod active;
mod error;
mod outcomes;
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

use arc_swap::ArcSwap;
use signet_identity::{Approved, CaCertificate, Clock, TrustBundle, X509Svid};
use signet_runtime::{RequestId, telemetry::chain};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;

use self::outcomes::Outcomes;
pub use self::{
    active::{Active, AuthorityError, Foreign},
    error::IssueError,
    outcomes::Failing,
};
use crate::{
    admission::Admitted,
    audit::{AuditLog, AuditUnavailable, Record, Requester, Signing},
};

/// Issues certificates. Clones share it.
#[derive(Clone)]
pub struct Authority {
    standing: Arc<ArcSwap<Standing>>,
    changes: Arc<watch::Sender<()>>,
    audit: AuditLog,
    clock: Arc<dyn Clock>,
    issuing: TaskTracker,
    outcomes: Outcomes,
}

/// How things stand: who signs, and whom proxies are to trust. Replaced as a whole.
#[derive(Clone)]
pub struct Standing {
    /// Who signs now, if anybody can.
    pub active: Option<Active>,
    /// Every root that is published.
    pub bundle: Arc<TrustBundle>,
    bundle_pem: Arc<str>,
    /// When another authority will sign, if one waits for proxies to have its root.
    followed_at: Option<SystemTime>,
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

impl Standing {
    /// `active` signs, and proxies trust `bundle`, which has the roots of `active` among its own.
    pub fn new(active: Option<Active>, bundle: TrustBundle) -> Self {
        let bundle_pem = bundle.to_pem().into();
        Self { active, bundle: Arc::new(bundle), bundle_pem, followed_at: None }
    }

    /// The same, where another authority will sign from then on.
    #[must_use]
    pub fn followed_at(self, followed_at: Option<SystemTime>) -> Self {
        Self { followed_at, ..self }
    }

    fn active(&self) -> Result<&Active, IssueError> {
        self.active.as_ref().ok_or(IssueError::NobodySigns { until: self.followed_at })
    }
}

impl Authority {
    /// The authority as it stands, until another [`Standing`] is published.
    pub fn new(standing: Standing, audit: AuditLog, clock: Arc<dyn Clock>) -> Self {
        let (standing, changes) =
            (Arc::new(ArcSwap::from_pointee(standing)), Arc::new(watch::Sender::new(())));
        Self { standing, changes, audit, clock, issuing: TaskTracker::new(), outcomes: Outcomes::new() }
    }

    /// From now on things stand so: for each request that comes, and for no request that came before.
    pub(crate) fn publish(&self, standing: Standing) {
        self.standing.store(Arc::new(standing));
        self.changes.send_replace(());
    }

    /// Notes each time that another standing is published.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
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

    /// What workloads must trust now.
    pub fn bundle(&self) -> Arc<TrustBundle> {
        Arc::clone(&self.standing.load().bundle)
    }

    /// The certificate that signs now, if anybody can sign.
    pub fn certificate(&self) -> Option<CaCertificate> {
        self.standing.load().active.as_ref().map(|active| active.certificate().clone())
    }

    /// Whether it can sign now, as far as its certificate says.
    ///
    /// # Errors
    /// Nobody can sign, or the certificate is over, or not valid yet.
    pub fn judge(&self) -> Result<(), IssueError> {
        let standing = self.standing.load();
        Ok(standing.active()?.judge(self.clock.now())?)
    }

    /// Since when no issuance has succeeded, and why the first of them failed; if the last one did.
    pub fn failing(&self) -> Option<Failing> {
        self.outcomes.failing()
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
        let standing = self.standing.load_full();
        let request_id = request.request_id.as_str();
        let active = match standing.active() {
            Ok(active) => active,
            Err(error) => return Err(self.refused(request_id, &request.requester, error).await),
        };
        let intent = Signing::new(request_id, &request.requester, &request.approved, active.key_id());
        self.audit.record(&Record::Signing(intent)).await?;
        let (now, deadline) = (self.clock.now(), request.deadline);
        let certifying = active.certify(&request.approved, &request.requester, now, deadline);
        let certified = caught(certifying).await;
        let recorded = self.record_outcome(request_id, &certified).await;
        let took = recorded.is_ok().then(|| began.elapsed());
        let issued = recorded.map_err(IssueError::from).and(certified);
        self.outcomes.count(issued.as_ref().err(), took, now);
        let (bundle, bundle_pem) = (Arc::clone(&standing.bundle), Arc::clone(&standing.bundle_pem));
        Ok(Issuance { svid: issued?, bundle, bundle_pem })
    }

    /// Nothing was begun.
    async fn refused(&self, request_id: &str, requester: &Requester, error: IssueError) -> IssueError {
        self.outcomes.count(Some(&error), None, self.clock.now());
        let reason = chain(&error).to_string();
        let recorded = self.audit.record(&Record::Refused { request_id, requester, reason: &reason }).await;
        recorded.map_or_else(IssueError::from, |()| error)
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
