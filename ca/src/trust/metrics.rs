//! The metrics of trust; see the driver.

use std::time::{SystemTime, UNIX_EPOCH};

use signet_identity::TrustBundle;

use super::{Origin, Stage};

/// What became of what a source said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    Refused,
    Absent,
}

pub(super) fn offered(outcome: Outcome) {
    let outcome = match outcome {
        Outcome::Taken => "taken",
        Outcome::Refused => "refused",
        Outcome::Absent => "absent",
    };
    metrics::counter!("signet_ca_authority_offers_total", "outcome" => outcome).increment(1);
}

/// `signs`: whose key or Vault, if anybody can sign.
pub(super) fn signing(signs: Option<Origin>) {
    for kind in [Origin::Local, Origin::Injected, Origin::Vault, Origin::VaultIntermediate] {
        let value = if signs == Some(kind) { 1.0 } else { 0.0 };
        metrics::gauge!("signet_ca_authority_signs", "kind" => kind.name()).set(value);
    }
}

pub(super) fn standing(stage: Stage, bundle: &TrustBundle, activates: Option<SystemTime>) {
    for one in [Stage::Steady, Stage::Prepared, Stage::Retiring] {
        let stands = if one == stage { 1.0 } else { 0.0 };
        metrics::gauge!("signet_ca_trust_stage", "stage" => one.name()).set(stands);
    }
    if let Some(version) = bundle.version() {
        metrics::gauge!("signet_ca_bundle_sequence").set(version.sequence as f64);
    }
    metrics::gauge!("signet_ca_bundle_roots").set(bundle.authorities().len() as f64);
    let activates =
        activates.map_or(0.0, |at| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
    metrics::gauge!("signet_ca_next_authority_activates_timestamp_seconds").set(activates);
}
