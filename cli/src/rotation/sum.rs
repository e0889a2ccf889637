//! What a test of rotations found, as it is told.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::ledger::{Failure, Rotation, Tally};
use crate::output::{BOLD, Check, json_seconds, precise_moment, span, styled, wrapped};

/// What happens on the way.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event<'a> {
    Rotation(&'a Rotation),
}

/// All in all.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename = "sum")]
pub(super) struct Sum {
    held: bool,
    handshakes: u64,
    failures: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_failure: Option<Failure>,
    #[serde(rename = "longest_gap_seconds", serialize_with = "json_seconds")]
    longest_gap: Duration,
    rotations_wanted: usize,
    rotations: Vec<Rotation>,
    #[serde(rename = "lasted_seconds", serialize_with = "json_seconds")]
    lasted: Duration,
}

impl Sum {
    pub(super) fn of(tally: Tally, wanted: usize, lasted: Duration) -> Self {
        let Tally { handshakes, failures, first_failure, longest_gap, rotations } = tally;
        let held = failures == 0 && handshakes > 0 && rotations.len() >= wanted;
        Self {
            held,
            handshakes,
            failures,
            first_failure,
            longest_gap,
            rotations_wanted: wanted,
            rotations,
            lasted,
        }
    }

    /// Did all rotations come, and no connection fail?
    pub(super) fn held(&self) -> bool {
        self.held
    }

    fn rotations(&self) -> Check {
        let (came, wanted, lasted) = (self.rotations.len(), self.rotations_wanted, span(self.lasted));
        let text = format!("{came} of {wanted} in {lasted}");
        Check::new(
            "rotations",
            if came >= wanted { Ok(text) } else { Err(format!("{text}: they did not come in time")) },
        )
    }

    fn connections(&self) -> Check {
        let Self { handshakes, failures, longest_gap, .. } = self;
        let text =
            format!("{handshakes}, {failures} failed, longest time without a success {}", span(*longest_gap));
        Check::new("handshakes", if *failures == 0 && *handshakes > 0 { Ok(text) } else { Err(text) })
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Rotation(Rotation { at, old_serial, new_serial, old_valid_for, both_seen }) = self;
        writeln!(f, "{} {} {old_serial}", precise_moment(*at), styled(BOLD, "rotation"))?;
        write!(
            f,
            "                               to {new_serial}, the old one valid for {} more",
            span(*old_valid_for)
        )?;
        match both_seen {
            Some(both) if !both.is_zero() => writeln!(f, ", both seen for {}", span(*both)),
            _ => writeln!(f),
        }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}\n{}", self.rotations(), self.connections())?;
        if let Some(shortest) = self.rotations.iter().map(|rotation| rotation.old_valid_for).min() {
            writeln!(f, "            an old certificate was valid for {} more at least", span(shortest))?;
        }
        if let Some(both) = self.rotations.iter().filter_map(|rotation| rotation.both_seen).max() {
            writeln!(f, "            old and new were seen beside each other for {} at most", span(both))?;
        }
        let Some(Failure { at, connection, reason }) = &self.first_failure else { return Ok(()) };
        writeln!(f, "first failure at {}, {connection}:", precise_moment(*at))?;
        writeln!(f, "    {}", wrapped(4, reason))
    }
}
