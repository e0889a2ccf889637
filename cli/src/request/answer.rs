//! What the CA answered, as it is shown.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use signet_client::{CaError, Token};

use crate::output::{BOLD, Check, DIM, json_moment, json_seconds, moment, span, styled};
use crate::refused::Refused;

/// A certificate, and what was found about it.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) held: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spiffe_id: Option<String>,
    pub(super) serial: String,
    pub(super) issuer: String,
    #[serde(serialize_with = "json_moment")]
    pub(super) not_before: SystemTime,
    #[serde(serialize_with = "json_moment")]
    pub(super) not_after: SystemTime,
    #[serde(rename = "lifetime_seconds", serialize_with = "json_seconds")]
    pub(super) lifetime: Duration,
    #[serde(flatten)]
    pub(super) taken: Taken,
    pub(super) checks: Vec<Check>,
    pub(super) chain: Vec<Link>,
    pub(super) chain_pem: String,
    pub(super) bundle_pem: String,
}

/// How long the CA took.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Taken {
    /// Name, TCP, TLS and HTTP/2.
    #[serde(rename = "connect_seconds", serialize_with = "json_seconds")]
    pub(super) connect: Duration,
    #[serde(rename = "issue_seconds", serialize_with = "json_seconds")]
    pub(super) issue: Duration,
}

/// A certificate of the chain, or a root.
#[derive(Debug, Serialize)]
pub(super) struct Link {
    pub(super) role: &'static str,
    pub(super) subject: String,
    pub(super) serial: String,
    #[serde(serialize_with = "json_moment")]
    pub(super) not_after: SystemTime,
}

impl Answer {
    /// Is it what was asked for?
    pub(super) fn held(&self) -> bool {
        self.held
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spiffe_id, serial, issuer, not_before, not_after, lifetime, taken, .. } = self;
        writeln!(f, "{}", styled(BOLD, spiffe_id.as_deref().unwrap_or("a certificate without a SPIFFE ID")))?;
        writeln!(f, "  serial    {serial}")?;
        writeln!(f, "  issuer    {issuer}")?;
        writeln!(
            f,
            "  valid     {} to {}, {} from now",
            moment(*not_before),
            moment(*not_after),
            span(*lifetime)
        )?;
        writeln!(f, "  taken     {} to connect, {} to be issued", span(taken.connect), span(taken.issue))?;
        for Link { role, subject, serial, not_after } in &self.chain {
            let subject = if subject.is_empty() { serial } else { subject };
            let until = styled(DIM, format!("until {}", moment(*not_after)));
            writeln!(f, "  {role:<13} {subject} {until}")?;
        }
        writeln!(f)?;
        self.checks.iter().try_for_each(|check| writeln!(f, "{check}"))
    }
}

/// What a CA said that is there and will not. Other errors are no word of a CA, and come back.
pub(super) fn refused(error: CaError, token: &Token) -> Result<Refused, CaError> {
    let what = "The CA issued nothing that is of use";
    match error {
        CaError::TokenRefused(refusal) => {
            let remedy = "it does not take this token: `signet token inspect` shows its issuer, audience and end, which \
                          must be what the CA is configured for";
            Ok(Refused::new(what, refusal, remedy.to_owned()))
        }
        CaError::Denied(refusal) => {
            let subject = token.claims().ok().and_then(|claims| claims.subject.clone());
            let whose = subject.map_or_else(String::new, |subject| format!(" (this one says {subject})"));
            let remedy = format!(
                "it takes the token and not the CSR: a token gives the identity of its own service account and no \
                 other{whose}; the CA's log and audit tell the reason under the request id"
            );
            Ok(Refused::new(what, refusal, remedy))
        }
        CaError::MalformedAnswer(fault) => {
            let remedy = "the answer is none of the Istio CA protocol: check --ca".to_owned();
            Ok(Refused::senseless(what, fault.to_string(), remedy))
        }
        other => Err(other),
    }
}
