//! `[[issuer]]`: whose tokens are accepted, and where their keys are.

use std::{path::PathBuf, time::Duration};

use reqwest::Url;
use signet_runtime::config::Section;

use crate::authn::{DevelopmentKeys, Fetcher, IssuerConfig, RefreshTimes, Source, Transport};

/// What Istio's proxies ask their tokens for.
const DEFAULT_AUDIENCE: &str = "istio-ca";

/// All issuers, in order; `None` in the place of one that has a fault.
pub(super) fn read_all(sections: &[Section<'_>], development: DevelopmentKeys) -> Vec<Option<IssuerConfig>> {
    let issuers: Vec<_> = sections.iter().map(|section| read(section, development)).collect();
    for (place, (section, issuer)) in sections.iter().zip(&issuers).enumerate() {
        let mut earlier = issuers.iter().take(place).flatten();
        if issuer.as_ref().is_some_and(|issuer| earlier.any(|earlier| earlier.issuer == issuer.issuer)) {
            section.fault("url", "stands in an earlier `[[issuer]]` already");
        }
    }
    issuers
}

fn read(section: &Section<'_>, development: DevelopmentKeys) -> Option<IssuerConfig> {
    let issuer: Option<String> = section.required("url");
    let audiences: Vec<String> = section.list("audiences");
    let leeway = section.within("leeway", Duration::from_secs(60), Duration::ZERO..=MAX_LEEWAY);
    let source = source(section, issuer.as_deref(), transport(development));
    let times = times(section, source.as_ref());
    Some(IssuerConfig {
        issuer: issuer?,
        audiences: if audiences.is_empty() { vec![DEFAULT_AUDIENCE.to_owned()] } else { audiences },
        leeway,
        source: source?,
        times,
    })
}

/// Exactly one of `discovery` (default: the issuer's own URL), `jwks_url`, `jwks_file`.
fn source(section: &Section<'_>, issuer: Option<&str>, transport: Transport) -> Option<Source> {
    let discovery: Option<String> = section.maybe("discovery");
    let jwks_url: Option<String> = section.maybe("jwks_url");
    let jwks_file: Option<PathBuf> = section.maybe("jwks_file");
    let fetcher = fetcher(section);
    match (discovery, jwks_url, jwks_file) {
        (None, None, Some(path)) => {
            if fetcher != Fetcher::default() {
                section.fault("jwks_file", "is not fetched: remove `ca_file` and `bearer_token_file`");
            }
            Some(Source::File(path))
        }
        (None, Some(text), None) => {
            Some(Source::Url { url: url(section, "jwks_url", &text, transport)?, fetcher })
        }
        (base, None, None) => {
            let (key, text) = base.as_deref().map_or(("url", issuer?), |base| ("discovery", base));
            Some(Source::Discovery { base: url(section, key, text, transport)?, fetcher, transport })
        }
        _ => {
            section.fault(
                "url",
                "has keys from several places (want one of `discovery`, `jwks_url`, `jwks_file`)",
            );
            None
        }
    }
}

fn fetcher(section: &Section<'_>) -> Fetcher {
    let fetcher =
        Fetcher { ca_file: section.maybe("ca_file"), bearer_token_file: section.maybe("bearer_token_file") };
    if fetcher.bearer_token_file.is_some() && fetcher.ca_file.is_none() {
        section.fault("bearer_token_file", "is sent only to servers under a `ca_file` (want one)");
    }
    fetcher
}

fn url(section: &Section<'_>, key: &str, text: &str, transport: Transport) -> Option<Url> {
    match Url::parse(text) {
        Err(error) => section.fault(key, format!("`{text}` is no URL: {error} (want e.g. `https://issuer.example`)")),
        Ok(url) if transport.allows(&url) => return Some(url),
        Ok(_) => section.fault(key, format!("keys do not travel unprotected: `{text}` (want https; http only to this machine, or with `--development`)")),
    }
    None
}

fn transport(development: DevelopmentKeys) -> Transport {
    match development {
        DevelopmentKeys::Refused => Transport::Secure,
        DevelopmentKeys::Accepted => Transport::Any,
    }
}

/// A file costs nothing to read; a server is asked rarely.
fn times(section: &Section<'_>, source: Option<&Source>) -> RefreshTimes {
    let (interval, floor) = match source {
        Some(Source::File(_)) => (Duration::from_secs(5), Duration::from_secs(1)),
        _ => (Duration::from_secs(300), Duration::from_secs(10)),
    };
    let floor = section.within("refresh_floor", floor, Duration::from_secs(1)..=Duration::from_secs(3600));
    let longest = Duration::from_secs(24 * 3600);
    RefreshTimes { interval: section.within("refresh_interval", interval.max(floor), floor..=longest), floor }
}

/// More hides a broken clock.
const MAX_LEEWAY: Duration = Duration::from_secs(300);
