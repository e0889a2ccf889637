//! Where trust stands, in a line for the operator.

use std::time::SystemTime;

use humantime::format_rfc3339_seconds;

use super::{Origin, Trust};
use crate::authority::Failing;

/// When the authority that waits begins to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    /// When its root has travelled.
    At(SystemTime),
    /// Its root has travelled, and what it signs by is away.
    WhenItCanSign,
}

/// As `prepared: authority 0a1b (injected) signs, 2c3d (injected) follows at 2026-01-02T03:04:05Z; 2 roots`.
/// `signing`: where the authority is from that can sign now.
pub(super) fn of(trust: &Trust, signing: Option<Origin>, follows: Option<Follows>) -> String {
    let active = trust.active();
    let mut line = format!(
        "{}: authority {} ({}) {}",
        trust.stage().name(),
        active.certificate.key_id(),
        active.origin.name(),
        if signing.is_some() { "signs" } else { "cannot sign now" }
    );
    if let (Some(next), Some(follows)) = (trust.next(), follows) {
        let (key_id, origin) = (next.certificate.key_id(), next.origin.name());
        line += &match follows {
            Follows::At(time) => format!(", {key_id} ({origin}) follows at {}", format_rfc3339_seconds(time)),
            Follows::WhenItCanSign => format!(", {key_id} ({origin}) follows as soon as it can sign"),
        };
    }
    match trust.roots().count() {
        1 => line + "; 1 root",
        roots => line + &format!("; {roots} roots"),
    }
}

/// As `good`, or since when nothing is issued and why.
pub(super) fn issuing(failing: Option<&Failing>) -> String {
    failing.map_or("good".to_owned(), |Failing { since, reason }| {
        format!("no certificate since {}: {reason}", format_rfc3339_seconds(*since))
    })
}
