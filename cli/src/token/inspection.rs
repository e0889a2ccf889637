//! What a token says, for a person to read. Nothing is verified: this is for finding out why a token was refused.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use humantime::{format_duration, format_rfc3339_seconds};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use signet_identity::jwt::DEVELOPMENT_ISSUER;

/// Registered claims that are points in time (RFC 7519 §4.1).
const TIMES: [&str; 3] = ["iat", "nbf", "exp"];

/// A token taken apart.
#[derive(Debug)]
pub(super) struct Inspection {
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Inspection {
    /// Takes a token apart: three parts between dots, of which the first two are JSON objects (RFC 7515 §7.1). It may
    /// stand as in a header, behind `Bearer `.
    pub(super) fn of(token: &str) -> Result<Self> {
        let token = token.trim();
        let token = token.strip_prefix("Bearer ").unwrap_or(token).trim();
        let mut parts = token.split('.');
        let (header, claims) =
            parts.next().zip(parts.next()).context("this is no token: it has no dots in it")?;
        Ok(Self {
            header: object(header)
                .context("the first part, the header, is not base64url of a JSON object")?,
            claims: object(claims)
                .context("the second part, the claims, is not base64url of a JSON object")?,
        })
    }

    /// For somebody who reads it at this moment.
    pub(super) fn at(self, now: SystemTime) -> Seen {
        Seen { token: self, now }
    }

    /// What its times make of it at `now`, without leeway: `exp` is the first moment at which it is over (RFC 7519
    /// §4.1.4), `nbf` the first at which it is good (§4.1.5). The CA requires both.
    fn standing(&self, now: SystemTime) -> Standing {
        let moment = |name| self.claims.get(name).and_then(moment);
        match (moment("nbf"), moment("exp")) {
            (_, None) => Standing::NoEnd,
            (None, _) => Standing::NoStart,
            (_, Some(end)) if end <= now => Standing::Expired { end },
            (Some(start), _) if now < start => Standing::NotYetValid { start },
            (_, Some(end)) => Standing::Valid { end },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    NoEnd,
    NoStart,
    Expired { end: SystemTime },
    NotYetValid { start: SystemTime },
    Valid { end: SystemTime },
}

/// A token at a moment.
#[derive(Debug)]
pub(super) struct Seen {
    token: Inspection,
    now: SystemTime,
}

impl Seen {
    /// By its own times, and nothing else.
    pub(super) fn is_good(&self) -> bool {
        matches!(self.token.standing(self.now), Standing::Valid { .. })
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, now } = self;
        writeln!(f, "Not verified: anybody could have written this.")?;
        if token.claims.get("iss").and_then(Value::as_str) == Some(DEVELOPMENT_ISSUER) {
            writeln!(f, "It calls itself a token for development.")?;
        }
        write!(f, "By its own times it ")?;
        match token.standing(*now) {
            Standing::NoEnd => {
                writeln!(f, "has no end (`exp`) that is understood, and signet-ca refuses it.")?
            }
            Standing::NoStart => {
                writeln!(f, "has no start (`nbf`) that is understood, and signet-ca refuses it.")?
            }
            Standing::Expired { end } => writeln!(f, "expired {} ago.", between(end, *now))?,
            Standing::NotYetValid { start } => writeln!(f, "is not yet valid: in {}.", between(*now, start))?,
            Standing::Valid { end } => writeln!(f, "is valid for {}.", between(*now, end))?,
        }
        section(f, "header", &token.header, *now)?;
        section(f, "claims", &token.claims, *now)
    }
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let standing = match self.token.standing(self.now) {
            Standing::NoEnd | Standing::NoStart => "unknown",
            Standing::Expired { .. } => "expired",
            Standing::NotYetValid { .. } => "not yet valid",
            Standing::Valid { .. } => "valid",
        };
        let mut object = serializer.serialize_struct("Token", 5)?;
        object.serialize_field("held", &self.is_good())?;
        object.serialize_field("verified", &false)?;
        object.serialize_field("standing", standing)?;
        object.serialize_field("header", &self.token.header)?;
        object.serialize_field("claims", &self.token.claims)?;
        object.end()
    }
}

fn object(part: &str) -> Result<Map<String, Value>> {
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part)?)?)
}

fn section(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    members: &Map<String, Value>,
    now: SystemTime,
) -> fmt::Result {
    writeln!(f, "\n{title}")?;
    let width = members.keys().map(String::len).max().unwrap_or_default();
    for (name, value) in members {
        let time = TIMES.contains(&name.as_str()).then(|| moment(value)).flatten();
        match (time, value) {
            (Some(moment), _) => writeln!(f, "  {name:width$}  {}", shown(moment, now))?,
            (None, Value::String(text)) => writeln!(f, "  {name:width$}  {text}")?,
            (None, other) => writeln!(f, "  {name:width$}  {other}")?,
        }
    }
    Ok(())
}

/// RFC 3339, as far as that goes, and how far from now.
fn shown(moment: SystemTime, now: SystemTime) -> String {
    let distance = if moment < now {
        format!("{} ago", between(moment, now))
    } else {
        format!("in {}", between(now, moment))
    };
    if moment < UNIX_EPOCH + YEAR_10000 {
        format!("{} ({distance})", format_rfc3339_seconds(moment))
    } else {
        format!("beyond the year 9999 ({distance})")
    }
}

/// Whole seconds.
fn between(earlier: SystemTime, later: SystemTime) -> impl fmt::Display {
    let distance = later.duration_since(earlier).unwrap_or_default();
    format_duration(Duration::from_secs(distance.as_secs()))
}

/// A NumericDate, as the CA reads it: seconds since 1970, perhaps with a fraction (RFC 7519 §2).
fn moment(seconds: &Value) -> Option<SystemTime> {
    let since_1970 = Duration::try_from_secs_f64(seconds.as_f64()?).ok()?;
    UNIX_EPOCH.checked_add(since_1970)
}

/// 10000-01-01T00:00:00Z since 1970, where RFC 3339 ends.
const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);
