//! How each secret stands: by what was pushed, what Envoy counts, and what it serves with.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use signet_identity::CertificateSummary;

use super::dump::{Dump, Kind};
use super::statistics::{Counted, Statistics};
use crate::output::{
    BAD, BOLD, DIM, GOOD, json_moment, json_seconds_if_known, moment, printable, span, styled, wrapped,
};

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    held: bool,
    secrets: Vec<Secret>,
    in_use: InUse,
}

/// `/certs`: what serves at this moment.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct InUse {
    #[serde(default)]
    certificates: Vec<TlsContext>,
}

#[derive(Debug, Deserialize, Serialize)]
struct TlsContext {
    #[serde(default)]
    ca_cert: Vec<Served>,
    #[serde(default)]
    cert_chain: Vec<Served>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Served {
    serial_number: String,
    expiration_time: String,
}

/// One secret.
#[derive(Debug, Serialize)]
struct Secret {
    name: String,
    standing: Standing,
    version: String,
    last_updated: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spiffe_id: Option<String>,
    certificates: Vec<Line>,
    /// Until the first of them ends.
    #[serde(
        rename = "left_seconds",
        serialize_with = "json_seconds_if_known",
        skip_serializing_if = "Option::is_none"
    )]
    left: Option<Duration>,
}

#[derive(Debug, Serialize)]
struct Line {
    role: &'static str,
    serial: String,
    #[serde(serialize_with = "json_moment")]
    not_after: SystemTime,
    in_use: bool,
}

/// Whether it does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Standing {
    /// In use.
    Served,
    /// Accepted, and nothing serves with it: nothing does yet, or nothing refers to it any more.
    Unused,
    /// Pushed, and not accepted: what was there before goes on serving, to its end.
    Rejected,
    /// Asked for, and never given.
    Warming,
    /// Over.
    Expired,
}

impl InUse {
    /// From `/certs`.
    pub(super) fn read(page: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Page {
            certificates: Vec<TlsContext>,
        }
        let Page { certificates } = serde_json::from_str(page).context("its /certs is not understood")?;
        Ok(Self { certificates })
    }

    fn serials(&self) -> BTreeSet<&str> {
        let all =
            self.certificates.iter().flat_map(|context| context.ca_cert.iter().chain(&context.cert_chain));
        all.map(|served| served.serial_number.as_str()).collect()
    }
}

impl Answer {
    /// Puts the pages together.
    pub(super) fn new(
        active: &[Dump],
        warming: &[Dump],
        in_use: InUse,
        statistics: &Statistics,
        now: SystemTime,
    ) -> Self {
        let serials = in_use.serials();
        let of_active = |dump: &Dump| {
            let mut counted = statistics.of(&dump.name);
            // Secrets of one name, from several servers, share their statistics: a version may be any one's.
            if active.iter().filter(|other| other.name == dump.name).count() > 1 {
                counted.accepted.clear();
            }
            Secret::active(dump, &counted, &serials, now)
        };
        let secrets: Vec<_> =
            active.iter().map(of_active).chain(warming.iter().map(Secret::warming)).collect();
        let held = secrets.iter().all(|secret| secret.standing.is_good());
        Self { held, secrets, in_use }
    }

    /// Are all of them served, or at least harmless?
    pub(super) fn held(&self) -> bool {
        self.held
    }
}

impl Secret {
    fn active(dump: &Dump, counted: &Counted, in_use: &BTreeSet<&str>, now: SystemTime) -> Self {
        let line = |role, certificate: &CertificateSummary| Line {
            role,
            serial: certificate.serial().to_owned(),
            not_after: certificate.validity().not_after(),
            in_use: in_use.contains(certificate.serial()),
        };
        let (spiffe_id, certificates) = match dump.kind() {
            Kind::Certificate(leaf) => (leaf.uris().first().cloned(), vec![line("certificate", &leaf)]),
            Kind::Roots(roots) => (None, roots.iter().map(|root| line("root", root)).collect()),
            Kind::Nothing => (None, vec![]),
        };
        let other_version = !counted.accepted.is_empty() && counted.accepted != dump.version_info;
        let is_in_use = certificates.iter().any(|line| line.in_use);
        let first_end = certificates.iter().map(|line| line.not_after).min();
        let is_rejected = dump.rejection().is_some() || counted.rejected > 0 && (other_version || !is_in_use);
        let standing = match first_end {
            _ if is_rejected => Standing::Rejected,
            Some(end) if end < now => Standing::Expired,
            _ if is_in_use => Standing::Served,
            _ => Standing::Unused,
        };
        Self {
            name: dump.name.clone(),
            standing,
            version: dump.version_info.clone(),
            last_updated: dump.last_updated.clone(),
            accepted_version: (standing == Standing::Rejected && other_version)
                .then(|| counted.accepted.clone()),
            reason: dump.rejection().map(str::to_owned),
            spiffe_id,
            certificates,
            left: first_end.map(|end| end.duration_since(now).unwrap_or_default()),
        }
    }

    fn warming(dump: &Dump) -> Self {
        Self {
            name: dump.name.clone(),
            standing: Standing::Warming,
            version: dump.version_info.clone(),
            last_updated: dump.last_updated.clone(),
            accepted_version: None,
            reason: None,
            spiffe_id: None,
            certificates: vec![],
            left: None,
        }
    }
}

impl Standing {
    fn is_good(self) -> bool {
        matches!(self, Self::Served | Self::Unused)
    }

    fn told(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Unused => "not in use",
            Self::Rejected => "rejected",
            Self::Warming => "waited for",
            Self::Expired => "expired",
        }
    }

    /// What that means, and where to look.
    fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Served => None,
            Self::Unused => Some("/certs does not have it: nothing refers to it, or nothing does yet"),
            Self::Rejected => Some(
                "what was there before goes on serving, to its end; Envoy's log says why, and `signet sds get` shows \
                 what a proxy would not take",
            ),
            Self::Warming => Some(
                "nothing came under this name: look whether the SDS cluster is reached, and what the agent says to the \
                 proxy's token",
            ),
            Self::Expired => Some("no peer takes it: look why the agent renews nothing"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secrets.is_empty() {
            writeln!(f, "This Envoy has no secrets by SDS.")?;
        }
        self.secrets.iter().try_for_each(|secret| write!(f, "{secret}"))?;
        let is_certificate =
            |secret: &&Secret| secret.standing == Standing::Served && secret.spiffe_id.is_some();
        let next =
            self.secrets.iter().filter(is_certificate).filter_map(|secret| Some((secret.left?, secret)));
        if let Some((left, secret)) = next.min_by_key(|(left, _)| *left) {
            writeln!(
                f,
                "\nThe next to expire is {}, in {}.",
                printable(&secret.name),
                styled(BOLD, span(left))
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.standing.is_good() { styled(GOOD, "✓") } else { styled(BAD, "✗") };
        writeln!(f, "{mark} {}: {}", styled(BOLD, printable(&self.name)), self.standing.told())?;
        if let Some(remedy) = self.standing.remedy() {
            writeln!(f, "    {}", wrapped(4, remedy))?;
        }
        if let Some(id) = &self.spiffe_id {
            writeln!(f, "    identity     {id}")?;
        }
        for Line { role, serial, not_after, in_use } in &self.certificates {
            let unused = if *in_use { "" } else { ", not in /certs" };
            writeln!(f, "    {role:<12} {serial}, until {}{unused}", moment(*not_after))?;
        }
        if let Some(left) = self.left.filter(|_| self.spiffe_id.is_some()) {
            writeln!(f, "    expires in   {}", span(left))?;
        }
        write!(f, "    version      {}", printable(&self.version))?;
        match &self.accepted_version {
            Some(accepted) => writeln!(f, ", where {} was the last that was accepted", printable(accepted))?,
            None => writeln!(f)?,
        }
        if let Some(reason) = &self.reason {
            writeln!(f, "    reason       {}", wrapped(17, &printable(reason)))?;
        }
        writeln!(f, "    {}", styled(DIM, format!("since {}", self.last_updated)))
    }
}

#[cfg(test)]
mod tests;
