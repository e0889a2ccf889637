//! How the CA is, as orchestrators and dashboards see it: looked at once a second.

pub(crate) mod expiry;

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use humantime::format_rfc3339_seconds;
use signet_identity::{CaCertificate, Clock};
use signet_runtime::{
    operations::{Condition, Readiness},
    telemetry::chain,
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use self::expiry::{ExpiryAlarm, remaining_ratio};
use crate::{
    admission::Admission,
    audit::AuditLog,
    authn::{Authentication, DevelopmentKeys, LoadFailure},
    authority::Authority,
    config::NO_ISSUER,
    metrics::Metrics,
};

/// What is looked at.
pub struct Observed {
    /// Who may call, and with which issuers' keys.
    pub authentication: Arc<Authentication>,
    /// Who signs.
    pub authority: Authority,
    /// Whether it can be written.
    pub audit: AuditLog,
    /// How full the house is.
    pub admission: Admission,
    /// Where what is seen goes.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// The conditions of readiness. Made before the operations port opens.
#[derive(Debug)]
pub struct Conditions {
    audit: Condition,
    authority: Condition,
    issuer_keys: Condition,
    readiness: Readiness,
    expiry: ExpiryAlarm,
}

impl Conditions {
    /// None of them holds yet. In development mode, that is said as long as the process lives.
    pub fn new(readiness: &Readiness, development: DevelopmentKeys) -> Self {
        if development == DevelopmentKeys::Accepted {
            readiness.notice(DEVELOPMENT_NOTICE);
        }
        Self {
            audit: readiness.condition("audit log", "starting"),
            authority: readiness.condition("authority", "starting"),
            issuer_keys: readiness.condition("issuer keys", "starting"),
            readiness: readiness.clone(),
            expiry: ExpiryAlarm::default(),
        }
    }

    /// Looks until `stop`.
    pub async fn observe(mut self, observed: Observed, stop: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        stop.run_until_cancelled(async {
            loop {
                ticks.tick().await;
                self.look(&observed);
            }
        })
        .await;
    }

    fn look(&mut self, observed: &Observed) {
        match &*observed.audit.state().borrow() {
            Ok(()) => self.audit.ready(),
            Err(unavailable) => self.audit.not_ready(chain(unavailable).to_string()),
        }
        match observed.authority.judge() {
            Ok(()) => self.authority.ready(),
            Err(not_valid) => self.authority.not_ready(chain(&not_valid).to_string()),
        }
        match missing_keys(&observed.authentication) {
            None => self.issuer_keys.ready(),
            Some(missing) => self.issuer_keys.not_ready(missing),
        }
        self.readiness.remark("loading of issuer keys", loading(&observed.authentication));
        observed.metrics.load(observed.admission.in_flight(), observed.admission.queued());
        match observed.authority.certificate() {
            Some(certificate) => self.look_at_the_end_of(&certificate, observed),
            None => observed.metrics.authority_expires(Duration::ZERO, 0.0),
        }
    }

    fn look_at_the_end_of(&mut self, certificate: &CaCertificate, observed: &Observed) {
        let (validity, now) = (certificate.validity(), observed.clock.now());
        let expires_at = validity.not_after().duration_since(UNIX_EPOCH).unwrap_or_default();
        observed.metrics.authority_expires(expires_at, remaining_ratio(validity, now));
        if let Some(alarm) = self.expiry.look(validity, now) {
            expiry::tell(&alarm, &certificate.key_id(), validity);
        }
    }
}

/// Nobody can be authenticated. As long as one issuer has keys its workloads are served, and a replica that
/// is taken away for the sake of another issuer would help nobody.
fn missing_keys(authentication: &Authentication) -> Option<String> {
    if authentication.issuers() == 0 {
        return Some(NO_ISSUER.to_owned());
    }
    let missing: Vec<String> =
        authentication.issuers_without_keys().map(|(issuer, reason)| format!("{issuer}: {reason}")).collect();
    (missing.len() == authentication.issuers()).then(|| missing.join("; "))
}

/// How the sources of keys are: keys that are held outlast a source, and until they do nobody else would
/// notice.
fn loading(authentication: &Authentication) -> String {
    let failing = authentication.failing_issuers().map(|(issuer, LoadFailure { since, reason })| {
        format!("{issuer} has failed since {}: {reason}", format_rfc3339_seconds(since))
    });
    let failing: Vec<String> = failing.collect();
    if failing.is_empty() { "good".to_owned() } else { failing.join("; ") }
}

/// Said at start and by `/readyz`.
pub const DEVELOPMENT_NOTICE: &str =
    "development mode: tokens of a development issuer are accepted; never serve real workloads like this";

const EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
