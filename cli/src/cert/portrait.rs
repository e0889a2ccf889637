//! One certificate, as much of it as can be read, for a person or a script.

use std::fmt::{self, Display};
use std::time::SystemTime;

use der::{Decode, Encode};
use ring::digest::{SHA256, digest};
use serde::Serialize;
use signet_identity::{BrokenRule, broken_rules};
use signet_runtime::telemetry::chain as told;
use x509_cert::Certificate;

use super::{Extensions, algorithm, escaped, hex, key, line};
use crate::input::Item;
use crate::output::{BAD, BOLD, DIM, GOOD, json_moment, moment, span, styled};

/// What it says. Nothing of it is verified.
#[derive(Debug, Serialize)]
pub(super) struct Portrait {
    origin: String,
    sha256: String,
    held: bool,
    /// Of a certificate that can be read.
    #[serde(flatten)]
    content: Option<Content>,
    deviations: Vec<Deviation>,
}

#[derive(Debug, Serialize)]
struct Content {
    /// `leaf`, or `authority` if basicConstraints say that it is a CA's.
    role: &'static str,
    subject: String,
    issuer: String,
    serial: String,
    #[serde(serialize_with = "json_moment")]
    not_before: SystemTime,
    #[serde(serialize_with = "json_moment")]
    not_after: SystemTime,
    /// `valid`, `expired`, or `not yet valid`, at the moment of asking.
    standing: &'static str,
    #[serde(skip)]
    distance: String,
    key: String,
    key_sha256: String,
    signature_algorithm: String,
    #[serde(flatten)]
    extensions: Extensions,
}

/// A rule that it breaks.
#[derive(Debug, Serialize)]
struct Deviation {
    rule: &'static str,
    statement: String,
}

impl Portrait {
    /// What `item` says at `now`.
    pub(super) fn of(item: &Item, now: SystemTime) -> Self {
        let content = Certificate::from_der(&item.der).ok().map(|certificate| Content::of(&certificate, now));
        let deviations = match broken_rules(&item.der) {
            Ok(broken) => broken.iter().map(Deviation::from).collect(),
            Err(fault) => vec![Deviation {
                rule: "RFC 5280",
                statement: format!("no strict reader, signet's own among them, takes it: {}", told(&fault)),
            }],
        };
        Self {
            origin: item.origin.clone(),
            sha256: hex(digest(&SHA256, &item.der).as_ref()),
            held: deviations.is_empty(),
            content,
            deviations,
        }
    }

    /// Does it keep all rules?
    pub(super) fn held(&self) -> bool {
        self.held
    }
}

impl Content {
    fn of(certificate: &Certificate, now: SystemTime) -> Self {
        let tbs = certificate.tbs_certificate();
        let extensions = Extensions::of(tbs.extensions().map(Vec::as_slice).unwrap_or_default());
        let not_before = tbs.validity().not_before.to_system_time();
        let not_after = tbs.validity().not_after.to_system_time();
        let (standing, distance) = standing(not_before, not_after, now);
        let spki = tbs.subject_public_key_info().to_der().unwrap_or_default();
        Self {
            role: if extensions.is_ca() { "authority" } else { "leaf" },
            subject: escaped(tbs.subject()),
            issuer: escaped(tbs.issuer()),
            serial: serial(tbs.serial_number().as_bytes()),
            not_before,
            not_after,
            standing,
            distance,
            key: key(&spki, tbs.subject_public_key_info().algorithm.oid),
            key_sha256: hex(digest(&SHA256, &spki).as_ref()),
            signature_algorithm: algorithm(certificate.signature_algorithm().oid),
            extensions,
        }
    }
}

impl From<&BrokenRule> for Deviation {
    fn from(broken: &BrokenRule) -> Self {
        let (rule, mut statement) = (broken.number(), broken.to_string());
        // The number has a column of its own.
        if let Some(bare) = statement.strip_suffix(&format!(" ({rule})")) {
            statement = bare.to_owned();
        }
        Self { rule, statement }
    }
}

impl Display for Portrait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Some(content) => {
                let name = content.extensions.first_name().unwrap_or(&content.subject);
                writeln!(f, "{}  {}", styled(BOLD, name), styled(DIM, &self.origin))?;
                write!(f, "{content}")?;
            }
            None => writeln!(f, "{}", styled(BOLD, &self.origin))?,
        }
        line(f, "SHA-256", &self.sha256)?;
        if self.deviations.is_empty() {
            let what = self.content.as_ref().map_or("it", |content| content.role);
            return writeln!(
                f,
                "{} keeps every rule of X.509-SVID for {}",
                styled(GOOD, "✓"),
                match what {
                    "authority" => "a signing certificate",
                    _ => "a leaf",
                }
            );
        }
        for Deviation { rule, statement } in &self.deviations {
            writeln!(f, "{} {rule:<8} {}", styled(BAD, "✗"), crate::output::wrapped(11, statement))?;
        }
        Ok(())
    }
}

impl Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "subject", if self.subject.is_empty() { "none" } else { &self.subject })?;
        line(f, "issuer", if self.issuer == self.subject { "itself" } else { &self.issuer })?;
        let (from, to) = (moment(self.not_before), moment(self.not_after));
        line(f, "valid", &format!("{from} to {to}, {}", self.distance))?;
        line(f, "serial", &self.serial)?;
        line(f, "key", &format!("{}, SHA-256 {}", self.key, self.key_sha256))?;
        line(f, "signed by", &self.signature_algorithm)?;
        write!(f, "{}", self.extensions)
    }
}

fn standing(not_before: SystemTime, not_after: SystemTime, now: SystemTime) -> (&'static str, String) {
    let since =
        |earlier: SystemTime, later: SystemTime| span(later.duration_since(earlier).unwrap_or_default());
    if now < not_before {
        ("not yet valid", format!("not yet valid: in {}", since(now, not_before)))
    } else if now > not_after {
        ("expired", format!("expired {} ago", since(not_after, now)))
    } else {
        ("valid", format!("for another {}", since(now, not_after)))
    }
}

/// Without leading zero bytes.
fn serial(bytes: &[u8]) -> String {
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len().saturating_sub(1));
    hex(bytes.get(first..).unwrap_or_default())
}
