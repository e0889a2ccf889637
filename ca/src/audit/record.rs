//! What is recorded, and how it reads as a line of JSON.

use std::{
    fmt::Display,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Serialize, Serializer};
use signet_identity::{Approved, Caller};

/// One line of the audit log.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Record<'a> {
    /// An intent: the signing key is about to be used.
    Signing(Signing<'a>),
    /// An outcome: the certificate exists, was verified, and may leave.
    Issued {
        /// Of the intent.
        request_id: &'a str,
        /// Lower-case hex.
        serial: &'a str,
        /// Of the certificate.
        #[serde(serialize_with = "as_rfc3339")]
        not_before: SystemTime,
        /// Of the certificate.
        #[serde(serialize_with = "as_rfc3339")]
        not_after: SystemTime,
    },
    /// An outcome: no certificate left.
    Failed {
        /// Of the intent.
        request_id: &'a str,
        /// For the operator, with its whole chain of causes.
        reason: &'a str,
    },
    /// An authenticated caller was told no.
    Refused {
        /// Names the request in logs and in the answer.
        request_id: &'a str,
        /// Who asked.
        #[serde(flatten)]
        requester: &'a Requester,
        /// What was asked for, and why it was refused.
        reason: &'a str,
    },
    /// Closes an intent that a crash left without an outcome. Whether a certificate was made is unknown; none
    /// was delivered.
    Abandoned {
        /// Of the intent.
        request_id: &'a str,
    },
    /// The process started here.
    Started,
    /// The line before this one is incomplete: a crash of the machine cut it. It was never acknowledged.
    Torn {
        /// Length of what is left of it.
        bytes: u64,
    },
    /// The log could not be written from `since` until now.
    Resumed {
        /// Of the first write that failed.
        #[serde(serialize_with = "as_rfc3339")]
        since: SystemTime,
        /// Records that were refused meanwhile; their requests failed.
        refused_records: u64,
    },
}

/// What is about to be signed, for whom, and with which key.
#[derive(Debug, Serialize)]
pub struct Signing<'a> {
    request_id: &'a str,
    identity: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    dns_names: &'a [String],
    #[serde(serialize_with = "as_text")]
    key_sha256: signet_identity::Fingerprint,
    #[serde(flatten)]
    requester: &'a Requester,
    authority: &'a str,
    lifetime_seconds: u64,
}

/// Who asked.
#[derive(Debug, Clone)]
pub enum Requester {
    /// A caller that proved who it is.
    Caller {
        /// As authenticated.
        caller: Arc<Caller>,
        /// Address of the connection, if it came over TCP.
        peer: Option<SocketAddr>,
    },
    /// The CA itself, for its own serving certificate: the line has neither `caller` nor `peer`.
    Authority,
}

impl<'a> Signing<'a> {
    /// `authority` is the subject key identifier of the signing certificate, in hex.
    pub fn new(
        request_id: &'a str,
        requester: &'a Requester,
        approved: &'a Approved,
        authority: &'a str,
    ) -> Self {
        Self {
            request_id,
            identity: approved.identity().as_str(),
            dns_names: approved.dns_names(),
            key_sha256: approved.public_key().fingerprint(),
            requester,
            authority,
            lifetime_seconds: approved.lifetime().as_secs(),
        }
    }
}

impl Record<'_> {
    /// Appends the record to `lines`, with its time and a newline; nothing of it if it has no form in JSON.
    pub(super) fn write_to(&self, lines: &mut Vec<u8>, time: SystemTime) -> io::Result<()> {
        write_line(lines, &Line { time, record: self })
    }

    /// Ends an intent: must be written even if the caller no longer waits for it.
    pub(super) fn is_outcome(&self) -> bool {
        matches!(self, Self::Issued { .. } | Self::Failed { .. })
    }
}

fn write_line(lines: &mut Vec<u8>, line: &impl Serialize) -> io::Result<()> {
    let start = lines.len();
    if let Err(error) = serde_json::to_writer(&mut *lines, line) {
        lines.truncate(start);
        return Err(error.into());
    }
    lines.push(b'\n');
    Ok(())
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(serialize_with = "as_rfc3339")]
    time: SystemTime,
    #[serde(flatten)]
    record: &'a Record<'a>,
}

#[derive(Serialize)]
struct RequesterFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<CallerFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
}

#[derive(Serialize)]
struct CallerFields<'a> {
    subject: &'a str,
    issuer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
}

impl Serialize for Requester {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = match self {
            Self::Authority => RequesterFields { caller: None, peer: None },
            Self::Caller { caller, peer } => {
                let pod = caller.pod();
                let caller = CallerFields {
                    subject: caller.subject(),
                    issuer: caller.issuer(),
                    pod: pod.name.as_deref(),
                    pod_uid: pod.uid.as_deref(),
                    node: pod.node.as_deref(),
                };
                RequesterFields { caller: Some(caller), peer: *peer }
            }
        };
        fields.serialize(serializer)
    }
}

fn as_text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// RFC 3339 in UTC, to the millisecond. Times that have no such form (before 1970, after 9999) are brought to
/// the nearest that has.
fn as_rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    serializer.collect_str(&humantime::format_rfc3339_millis(*time.clamp(&UNIX_EPOCH, &last)))
}

#[cfg(test)]
mod tests;
