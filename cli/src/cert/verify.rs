//! `signet cert verify`: the check that a peer makes, and at which certificate it breaks.

use std::fmt::{self, Display};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use clap::Args;
use rustls::crypto::ring::sign::any_supported_type;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use signet_identity::{
    CertificateSummary, Clock, MAX_CHAIN, SpiffeId, TrustBundle, TrustDomain, broken_rules, verify_path,
};
use signet_runtime::SystemClock;
use signet_runtime::telemetry::chain as told;

use super::walk::{Step, walked};
use crate::input::{Item, Kind, Source};
use crate::outcome::Outcome;
use crate::output::{BAD, Check, Console, GOOD, json_moment, moment, styled};
use crate::task;

/// What is verified, and against what.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The leaf, then its intermediates: in a file, `-`, https://... or as tls://HOST:PORT presents it
    chain: Source,
    /// The authorities that a peer trusts
    #[arg(long, value_name = "INPUT")]
    bundle: Source,
    /// Whose certificate it should be
    #[arg(long, value_name = "SPIFFE_ID")]
    id: Option<SpiffeId>,
    /// The trust domain whose bundle that is [default: that of the leaf]
    #[arg(long, value_name = "DOMAIN")]
    trust_domain: Option<TrustDomain>,
    /// The private key that should be the leaf's
    #[arg(long, value_name = "INPUT")]
    key: Option<Source>,
    /// When, instead of now, such as 2026-12-24T18:00:00Z
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339)]
    at: Option<SystemTime>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  signet cert verify chain.pem --bundle root-cert.pem
  signet cert verify chain.pem --bundle root-cert.pem --id spiffe://cluster.local/ns/shop/sa/orders
  signet cert verify chain.pem --bundle root-cert.pem --key key.pem
  signet cert verify tls://orders.shop.svc:8443 --bundle root-cert.pem
  signet cert verify chain.pem --bundle root-cert.pem --at 2026-12-24T18:00:00Z

Exit code 0: a peer would accept it; 1: it would not; 3: it could not be looked at.";

/// Everything that is looked at.
struct Question {
    chain: Vec<Item>,
    bundle: Vec<Item>,
    key: Option<Item>,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Verdict {
    held: bool,
    #[serde(serialize_with = "json_moment")]
    at: SystemTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    spiffe_id: Option<String>,
    checks: Vec<Check>,
    path: Vec<Step>,
}

impl Verify {
    /// Verifies.
    pub(crate) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        let question = task::block_on(|stop| async move {
            let read = stop.run_until_cancelled(self.read()).await;
            read.unwrap_or_else(|| anyhow::bail!("interrupted")).map(|question| (self, question))
        });
        let (asked, question) = question?;
        let verdict = asked.judge(&question, asked.at.unwrap_or_else(|| SystemClock.now()))?;
        console.answer(&verdict)?;
        Ok(verdict.held.into())
    }

    async fn read(&self) -> Result<Question> {
        let chain = one_chain(self.chain.certificates().await?);
        ensure!(
            chain.len() <= MAX_CHAIN,
            "{} has {} certificates, and peers follow {MAX_CHAIN}: is it a bundle?",
            self.chain,
            chain.len()
        );
        let bundle = authorities(self.bundle.certificates().await?);
        let key = match &self.key {
            Some(source) => source.only(Kind::PrivateKey).await?.into_iter().next(),
            None => None,
        };
        Ok(Question { chain, bundle, key })
    }

    fn judge(&self, question: &Question, at: SystemTime) -> Result<Verdict> {
        let Question { chain, bundle, key } = question;
        let leaf = chain.first().context("there is no certificate")?;
        let summary = CertificateSummary::of(&leaf.der)
            .with_context(|| format!("the leaf ({}) cannot be read", leaf.origin))?;
        let uri = summary.uris().first().cloned();
        let id = uri.as_deref().and_then(|uri| uri.parse::<SpiffeId>().ok());
        let trust_domain = self.trust_domain.clone().or_else(|| Some(id.as_ref()?.trust_domain().clone()));
        let mut checks = rules(leaf);
        checks.push(Check::new("name", name(&summary, self.id.as_ref(), self.trust_domain.as_ref())));
        checks.extend(key.as_ref().map(|key| Check::new("key", fits(key, &summary))));
        checks.push(Check::new("path", path(chain, bundle, trust_domain, at)));
        let path = walked(chain, bundle, at);
        Ok(Verdict { held: checks.iter().all(Check::held), at, spiffe_id: uri, checks, path })
    }
}

/// Of an object with several documents in it (a Secret has `ca.crt` beside `tls.crt`), the one with a leaf.
fn one_chain(mut items: Vec<Item>) -> Vec<Item> {
    let with_leaf = items.iter().find(|item| !is_ca(item)).map(|leaf| leaf.document.clone());
    if let Some(document) = with_leaf {
        items.retain(|item| item.document == document);
    }
    items
}

/// Of an object with several documents, the authorities alone.
fn authorities(mut items: Vec<Item>) -> Vec<Item> {
    if items.iter().any(|item| items.first().is_some_and(|first| first.document != item.document)) {
        items.retain(is_ca);
    }
    items
}

fn is_ca(item: &Item) -> bool {
    CertificateSummary::of(&item.der).is_ok_and(|summary| summary.is_ca())
}

/// One line a rule that is broken.
fn rules(leaf: &Item) -> Vec<Check> {
    let check = |finding| Check::new("rules", finding);
    match broken_rules(&leaf.der) {
        Ok(_) if is_ca(leaf) => {
            vec![check(Err("a CA's certificate stands first, where the leaf should (X-10)".to_owned()))]
        }
        Ok(broken) if broken.is_empty() => vec![check(Ok("an X.509-SVID".to_owned()))],
        Ok(broken) => broken.iter().map(|rule| check(Err(rule.to_string()))).collect(),
        Err(fault) => vec![check(Err(told(&fault).to_string()))],
    }
}

fn name(
    leaf: &CertificateSummary,
    id: Option<&SpiffeId>,
    trust_domain: Option<&TrustDomain>,
) -> Result<String, String> {
    let found = leaf.uris().join(", ");
    if let Some(id) = id
        && leaf.uris() != [id.as_str()]
    {
        return Err(format!("{found:?} where {id} was expected"));
    }
    if found.is_empty() {
        return Err("it has no SPIFFE ID".to_owned());
    }
    let parsed: SpiffeId = found.parse().map_err(|fault| format!("{found:?}: {fault}"))?;
    match trust_domain {
        Some(wanted) if parsed.trust_domain() != wanted => {
            Err(format!("{found}, and the bundle is that of {wanted}"))
        }
        _ => Ok(found),
    }
}

fn fits(key: &Item, leaf: &CertificateSummary) -> Result<String, String> {
    let unread = || format!("{} is no private key that TLS can use", key.origin);
    let der = PrivateKeyDer::try_from(key.der.as_slice()).map_err(|_| unread())?;
    let public = any_supported_type(&der).map_err(|_| unread())?.public_key().map(|key| key.to_vec());
    match public {
        Some(public) if public == leaf.spki_der() => Ok("that of the leaf".to_owned()),
        Some(_) => Err("not that of the leaf".to_owned()),
        None => Err(unread()),
    }
}

/// As rustls peers find it. Only who looks at a workload's name asks for a trust domain; a path needs any.
fn path(
    chain: &[Item],
    bundle: &[Item],
    trust_domain: Option<TrustDomain>,
    at: SystemTime,
) -> Result<String, String> {
    let ders = |items: &[Item]| -> Vec<_> {
        items.iter().map(|item| CertificateDer::from(item.der.clone())).collect()
    };
    let trust_domain = trust_domain.ok_or("the leaf names no trust domain: give --trust-domain")?;
    let bundle = TrustBundle::new(trust_domain, ders(bundle), None)
        .map_err(|fault| format!("the bundle: {}", told(&fault)))?;
    verify_path(&ders(chain), &bundle, at)
        .map(|()| "leads to an authority of the bundle, and every certificate of it is valid".to_owned())
        .map_err(|fault| told(&fault).to_string())
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (style, verdict) = if self.held {
            (GOOD, "A peer that trusts this bundle accepts it")
        } else {
            (BAD, "A peer that trusts this bundle refuses it")
        };
        writeln!(f, "{}, at {}\n", styled(style.bold(), verdict), moment(self.at))?;
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        writeln!(f)?;
        self.path.iter().try_for_each(|step| write!(f, "{step}"))
    }
}
