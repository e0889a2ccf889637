//! Where trust stands, in a line for the operator.

use std::time::SystemTime;

use humantime::format_rfc3339_seconds;

use super::Trust;

/// As `prepared: authority 0a1b (injected) signs, 2c3d (injected) follows at 2026-01-02T03:04:05Z; 2 roots`.
pub(super) fn of(trust: &Trust, activates: Option<SystemTime>) -> String {
    let active = trust.active();
    let mut line = format!(
        "{}: authority {} ({}) signs",
        trust.stage().name(),
        active.certificate.key_id(),
        active.origin.name()
    );
    if let (Some(next), Some(activates)) = (trust.next(), activates) {
        let (key_id, origin) = (next.certificate.key_id(), next.origin.name());
        line += &format!(", {key_id} ({origin}) follows at {}", format_rfc3339_seconds(activates));
    }
    match trust.roots().count() {
        1 => line + "; 1 root",
        roots => line + &format!("; {roots} roots"),
    }
}
