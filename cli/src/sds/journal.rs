//! What each name was last given, and what each push makes of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use signet_client::sds::PushedSecret;
use signet_identity::CertificateSummary;
use tokio::time::Instant;

use super::change::Change;
use super::secret::Content;
use crate::output::{
    BAD, BOLD, json_moment, json_precise_moment, json_seconds, json_seconds_if_known, moment, precise_moment,
    printable, span, styled, wrapped,
};

/// Remembers the last push of each name.
#[derive(Debug, Default)]
pub(super) struct Journal(BTreeMap<String, Held>);

#[derive(Debug)]
struct Held {
    content: Content,
    at: Instant,
}

/// One secret, as it came.
#[derive(Debug, Serialize)]
pub(super) struct Pushed {
    #[serde(serialize_with = "json_precise_moment")]
    at: SystemTime,
    name: String,
    version: String,
    #[serde(flatten)]
    told: Told,
    #[serde(flatten)]
    change: Change,
    #[serde(
        rename = "since_last_seconds",
        serialize_with = "json_seconds_if_known",
        skip_serializing_if = "Option::is_none"
    )]
    since_last: Option<Duration>,
    concerns: Vec<String>,
}

/// What the secret says.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Told {
    Certificate {
        spiffe_id: String,
        serial: String,
        issuer: String,
        #[serde(serialize_with = "json_moment")]
        not_before: SystemTime,
        #[serde(serialize_with = "json_moment")]
        not_after: SystemTime,
        #[serde(rename = "left_seconds", serialize_with = "json_seconds")]
        left: Duration,
        intermediates: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        private_key_pem: Option<String>,
    },
    Roots {
        roots: Vec<Root>,
    },
    Nothing,
}

#[derive(Debug, Serialize)]
struct Root {
    serial: String,
    subject: String,
    #[serde(serialize_with = "json_moment")]
    not_after: SystemTime,
}

/// Whether private keys are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PrivateKeys {
    Hidden,
    Shown,
}

impl Journal {
    /// Takes down a push. Roots come first, so that a chain of the same push is held to them.
    pub(super) fn take(
        &mut self,
        mut secrets: Vec<PushedSecret>,
        keys: PrivateKeys,
        now: SystemTime,
    ) -> Vec<Pushed> {
        secrets.sort_by_key(|secret| !matches!(Content::of(secret), Content::Roots(_)));
        secrets.iter().map(|secret| self.take_one(secret, keys, now)).collect()
    }

    /// Those of the names that were given nothing yet.
    pub(super) fn missing(&self, names: &[String]) -> Vec<String> {
        names.iter().filter(|name| !self.0.contains_key(*name)).cloned().collect()
    }

    fn take_one(&mut self, secret: &PushedSecret, keys: PrivateKeys, now: SystemTime) -> Pushed {
        let content = Content::of(secret);
        let roots = self.0.values().find_map(|held| match &held.content {
            Content::Roots(roots) => Some(roots.as_slice()),
            _ => None,
        });
        let before = self.0.get(&secret.name);
        let pushed = Pushed {
            at: now,
            name: secret.name.clone(),
            version: secret.version.clone(),
            told: Told::of(&content, keys, now),
            change: Change::between(before.map(|held| &held.content), &content),
            since_last: before.map(|held| held.at.elapsed()),
            concerns: content.concerns(roots, now),
        };
        self.0.insert(secret.name.clone(), Held { content, at: Instant::now() });
        pushed
    }
}

impl Pushed {
    /// Whether a proxy, or its peers, would not take it.
    pub(super) fn is_concerning(&self) -> bool {
        !self.concerns.is_empty()
    }
}

impl Told {
    fn of(content: &Content, keys: PrivateKeys, now: SystemTime) -> Self {
        match content {
            Content::Identity(identity) => {
                let leaf = identity.leaf();
                let key = || String::from_utf8_lossy(identity.key_pem()).into_owned();
                Self::Certificate {
                    spiffe_id: leaf.uris().join(", "),
                    serial: leaf.serial().to_owned(),
                    issuer: leaf.issuer().to_owned(),
                    not_before: leaf.validity().not_before(),
                    not_after: leaf.validity().not_after(),
                    left: leaf.validity().remaining(now),
                    intermediates: identity.chain().len().saturating_sub(1),
                    private_key_pem: (keys == PrivateKeys::Shown).then(key),
                }
            }
            Content::Roots(roots) => {
                let roots = roots.iter().filter_map(|root| CertificateSummary::of(root).ok());
                let root = |root: CertificateSummary| Root {
                    serial: root.serial().to_owned(),
                    subject: root.subject().to_owned(),
                    not_after: root.validity().not_after(),
                };
                Self::Roots { roots: roots.map(root).collect() }
            }
            Content::Nothing(_) => Self::Nothing,
        }
    }
}

impl fmt::Display for Pushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, name, version, told, change, since_last, concerns } = self;
        let (name, version) = (printable(name), printable(version));
        if let (Some(since), true, true) = (since_last, *change == Change::default(), concerns.is_empty()) {
            let since = format!("as before, {} after the last push", span(*since));
            return writeln!(f, "{} {}: {since}", precise_moment(*at), styled(BOLD, &name));
        }
        writeln!(f, "{} {}", precise_moment(*at), styled(BOLD, &name))?;
        writeln!(f, "  version   {version}")?;
        write!(f, "{told}")?;
        write!(f, "  changed   {}", wrapped(12, &change.told()))?;
        match since_last {
            Some(since) => writeln!(f, "; {} after the last push", span(*since))?,
            None => writeln!(f)?,
        }
        concerns.iter().try_for_each(|concern| writeln!(f, "  {} {}", styled(BAD, "✗"), wrapped(4, concern)))
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate {
                spiffe_id,
                serial,
                issuer,
                not_before,
                not_after,
                left,
                intermediates,
                ..
            } => {
                writeln!(f, "  identity  {spiffe_id}")?;
                writeln!(f, "  serial    {serial}")?;
                writeln!(f, "  issuer    {issuer}, {intermediates} intermediates")?;
                let valid = format!("{} to {}", moment(*not_before), moment(*not_after));
                writeln!(f, "  valid     {valid}, {} left", styled(BOLD, span(*left)))?;
            }
            Self::Roots { roots } => {
                for Root { serial, subject, not_after } in roots {
                    writeln!(f, "  root      {serial} until {}", moment(*not_after))?;
                    writeln!(f, "            {subject}")?;
                }
            }
            Self::Nothing => {}
        }
        if let Self::Certificate { private_key_pem: Some(key), .. } = self {
            writeln!(f, "{}", key.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
