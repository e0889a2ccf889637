//! The CA's own serving certificate: issued by its own authority, audited like any other, renewed for ever.
//!
//! It is renewed at half of its life, and when another authority has begun to sign, the old one serving
//! meanwhile; a failure is tried again after 1 s, then after twice as long each time, up to 10 s. One that ends
//! with the authority is the last: a renewal could not outlive it.
//!
//! Metric: `signet_ca_serving_certificate_expires_timestamp_seconds`.

mod files;
mod leaf;
#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use signet_identity::{Approved, Clock, KeyError, PrivateKey, RequestError, Validity};
use signet_runtime::{
    RequestId,
    telemetry::chain,
    tls::{ServingCertificate, TlsError},
};
use tokio::{
    select,
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    audit::Requester,
    authority::{Authority, IssueError, IssueRequest},
};

pub use files::{FileServing, ServingFileError, ServingFiles};
pub use leaf::LeafFault;

/// What the certificate says.
#[derive(Debug, Clone)]
pub struct ServingNames {
    /// DNS names under which clients reach the CA.
    pub dns_names: Vec<String>,
    /// Cut to what is left of the authority's own.
    pub lifetime: Duration,
}

/// Keeps a serving certificate fresh.
pub struct ServingCertificateRenewer {
    authority: Authority,
    names: ServingNames,
    clock: Arc<dyn Clock>,
    certificate: Arc<ServingCertificate>,
    validity: watch::Sender<Validity>,
    /// At the latest: an authority that began to sign meanwhile makes it renewed once too often.
    signed_by: Option<CertificateDer<'static>>,
}

/// There is no (new) serving certificate.
#[derive(Debug, thiserror::Error)]
pub enum ServingCertificateError {
    /// The authority issued none.
    #[error("cannot issue the serving certificate")]
    Issue(#[from] IssueError),
    /// No request can be made. The configuration has checked the names, so the fault is most likely ours.
    #[error("cannot request the serving certificate")]
    Request(#[from] RequestError),
    /// The machine's random numbers fail.
    #[error("cannot make a key for the serving certificate")]
    Key(#[from] KeyError),
    /// TLS does not take it.
    #[error("cannot serve by the certificate that was issued")]
    Tls(#[from] TlsError),
}

/// Time by the wall clock is looked at this often: a machine that slept must not trust its timers.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// What an issuance may take.
const ISSUED_WITHIN: Duration = Duration::from_secs(10);

/// Unless the authority changes sooner.
const START_RETRY: Duration = Duration::from_secs(2);

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(10);

impl ServingCertificateError {
    /// Whether it may pass: nobody signs yet, or who does is away, or refuses what an operator will allow.
    fn may_pass(&self) -> bool {
        match self {
            Self::Issue(IssueError::Issuer(_) | IssueError::NotVerified(_) | IssueError::TooLong { .. }) => {
                true
            }
            Self::Issue(error) => error.is_temporary(),
            _ => false,
        }
    }
}

impl ServingCertificateRenewer {
    /// Issues the first certificate as soon as somebody signs it. Nothing is served meanwhile.
    ///
    /// # Errors
    /// See [`ServingCertificateError`]: what no waiting helps.
    pub async fn start_at_last(
        authority: Authority,
        names: ServingNames,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServingCertificateError> {
        let (mut changes, began) = (authority.changes(), Instant::now());
        loop {
            match Self::start(authority.clone(), names.clone(), Arc::clone(&clock)).await {
                Err(error) if error.may_pass() => {
                    // At first the source of the authority may only not have spoken yet.
                    if began.elapsed() >= START_RETRY {
                        warn!(error = %chain(&error), "nothing is served yet: the CA has no certificate of its own");
                    }
                    let _changed_or_in_time = timeout(START_RETRY, changes.changed()).await;
                }
                started => return started,
            }
        }
    }

    /// Issues the first certificate.
    ///
    /// # Errors
    /// See [`ServingCertificateError`]; an audit log that cannot be written is worth another attempt.
    pub async fn start(
        authority: Authority,
        names: ServingNames,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServingCertificateError> {
        let signed_by = signer(&authority);
        let Pair { chain, key, validity } = issue(&authority, &names).await?;
        let certificate = Arc::new(ServingCertificate::new(chain, key)?);
        let validity_of = watch::Sender::new(validity);
        let renewer = Self { authority, names, clock, certificate, validity: validity_of, signed_by };
        renewer.tell(validity);
        Ok(renewer)
    }

    /// What handshakes are to show, now and after each renewal.
    pub fn certificate(&self) -> Arc<ServingCertificate> {
        Arc::clone(&self.certificate)
    }

    /// How long the certificate that is shown is valid.
    pub fn validity(&self) -> watch::Receiver<Validity> {
        self.validity.subscribe()
    }

    /// Renews until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let renewing = async {
            loop {
                select! {
                    () = self.half_life() => {}
                    () = self.another_authority() => {}
                }
                self.renew_at_last().await;
                // Whatever its times say, a certificate is no reason to issue the next at once.
                sleep(FIRST_RETRY).await;
            }
        };
        select! {
            () = renewing => {}
            () = stop.cancelled() => {}
        }
    }

    /// Returns when half of the certificate's life is over, and never if it ends with the authority.
    async fn half_life(&self) {
        loop {
            let validity = *self.validity.borrow();
            let left = validity.remaining(self.clock.now()).saturating_sub(validity.lifetime() / 2);
            if left.is_zero() && !self.is_last(validity) {
                return;
            }
            sleep(left.clamp(FIRST_RETRY, LOOK_EVERY)).await;
        }
    }

    /// Returns when another authority signs than the one that signed the certificate.
    async fn another_authority(&self) {
        let mut changes = self.authority.changes();
        loop {
            let signs = signer(&self.authority);
            if signs.is_some() && signs != self.signed_by || changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Whether it ends with the authority: no renewal could last longer.
    fn is_last(&self, validity: Validity) -> bool {
        let authority = self.authority.certificate();
        authority.is_some_and(|authority| validity.not_after() >= authority.validity().not_after())
    }

    /// Tries until there is a new certificate.
    async fn renew_at_last(&mut self) {
        let mut pause = FIRST_RETRY;
        while let Err(error) = self.renew().await {
            let expires_at = humantime::format_rfc3339_seconds(self.validity.borrow().not_after());
            warn!(error = %chain(&error), %expires_at, "the serving certificate was not renewed; trying again");
            sleep(pause).await;
            pause = (pause * 2).min(LAST_RETRY);
        }
    }

    async fn renew(&mut self) -> Result<(), ServingCertificateError> {
        let signed_by = signer(&self.authority);
        let Pair { chain, key, validity } = issue(&self.authority, &self.names).await?;
        self.signed_by = signed_by;
        self.certificate.replace(chain, key)?;
        self.tell(validity);
        Ok(())
    }

    fn tell(&self, validity: Validity) {
        let expires_at = validity.not_after();
        tell_expiry(validity);
        let is_last = self.is_last(validity);
        info!(
            expires_at = %humantime::format_rfc3339_seconds(expires_at), is_last,
            "serving by a new certificate"
        );
        self.validity.send_replace(validity);
    }
}

fn tell_expiry(validity: Validity) {
    let timestamp = validity.not_after().duration_since(UNIX_EPOCH).unwrap_or_default();
    metrics::gauge!("signet_ca_serving_certificate_expires_timestamp_seconds").set(timestamp.as_secs_f64());
}

struct Pair {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    validity: Validity,
}

/// Not its key alone: the same key may come back under another root.
fn signer(authority: &Authority) -> Option<CertificateDer<'static>> {
    authority.certificate().map(|certificate| certificate.der().clone())
}

async fn issue(authority: &Authority, names: &ServingNames) -> Result<Pair, ServingCertificateError> {
    let key = PrivateKey::generate()?;
    let bundle = authority.bundle();
    let approved =
        Approved::for_the_authority(bundle.trust_domain(), names.dns_names.clone(), &key, names.lifetime)?;
    let request = IssueRequest {
        request_id: RequestId::random(),
        requester: Requester::Authority,
        approved,
        deadline: Instant::now() + ISSUED_WITHIN,
        place: None,
    };
    let svid = authority.issue(request).await?.svid;
    let key = PrivateKeyDer::Pkcs8(key.pkcs8_der().to_vec().into());
    Ok(Pair { chain: svid.chain().to_vec(), key, validity: svid.validity() })
}
