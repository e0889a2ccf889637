//! A chain from link to link: which certificate breaks it, and why. Path validation itself says only that there is no path.

use std::fmt::{self, Display};
use std::time::SystemTime;

use serde::Serialize;
use signet_identity::{CertificateSummary, LinkError, verify_link};
use signet_runtime::telemetry::chain as told;

use crate::input::Item;
use crate::output::{BAD, BOLD, DIM, GOOD, moment, span, styled, wrapped};

/// One certificate of the path, and how it leads to the next.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    /// `leaf`, `intermediate` or `root`.
    role: &'static str,
    origin: String,
    name: String,
    held: bool,
    statement: String,
}

/// The chain from link to link, to find the one that breaks.
pub(super) fn walked(chain: &[Item], bundle: &[Item], at: SystemTime) -> Vec<Step> {
    let mut steps = Vec::new();
    for (place, item) in chain.iter().enumerate() {
        let role = if place == 0 { "leaf" } else { "intermediate" };
        let next = chain.get(place + 1);
        let root = bundle.iter().find(|root| verify_link(&item.der, &root.der).is_ok());
        let finding = match (root, next) {
            (Some(root), _) => Ok(format!("signed by an authority of the bundle ({})", root.origin)),
            (None, Some(next)) => match verify_link(&item.der, &next.der) {
                Ok(()) => Ok("signed by the next certificate".to_owned()),
                Err(fault) => Err(broken(&fault, "the next certificate")),
            },
            (None, None) => Err(unrooted(item, bundle)),
        };
        steps.push(Step::new(role, item, at, finding));
        if let Some(root) = root {
            steps.push(Step::new("root", root, at, Ok("trusted by the bundle".to_owned())));
            break;
        }
    }
    steps
}

fn broken(fault: &LinkError, signer: &str) -> String {
    format!("does not lead to {signer}: {}", told(fault))
}

/// The best reason among the authorities: one of the right name says more than one of another.
fn unrooted(item: &Item, bundle: &[Item]) -> String {
    let same_name = bundle.iter().find_map(|root| match verify_link(&item.der, &root.der) {
        Err(LinkError::AnotherIssuer) | Ok(()) => None,
        Err(fault) => Some((root, fault)),
    });
    if let Some((root, fault)) = same_name {
        return broken(&fault, &root.origin);
    }
    let issuer = CertificateSummary::of(&item.der).map(|it| it.issuer().to_owned()).unwrap_or_default();
    format!(
        "its issuer, {issuer}, is no authority of the bundle, and the chain ends here: is an intermediate missing?"
    )
}

impl Step {
    /// What else is wrong with it comes before how it leads on.
    fn new(role: &'static str, item: &Item, at: SystemTime, finding: Result<String, String>) -> Self {
        let summary = CertificateSummary::of(&item.der);
        let (name, fault) = match &summary {
            Ok(summary) => (best_name(summary), over(summary, at).or_else(|| may_not_sign(role, summary))),
            Err(fault) => ("cannot be read".to_owned(), Some(told(fault).to_string())),
        };
        let finding = fault.map_or(finding, Err);
        let held = finding.is_ok();
        let statement = finding.unwrap_or_else(|fault| fault);
        Self { role, origin: item.origin.clone(), name, held, statement }
    }
}

fn may_not_sign(role: &str, summary: &CertificateSummary) -> Option<String> {
    (role != "leaf" && !summary.is_ca()).then(|| "it is no CA's, and may sign nothing".to_owned())
}

fn best_name(summary: &CertificateSummary) -> String {
    let uri = summary.uris().first().filter(|_| !summary.is_ca()).cloned();
    let subject = || Some(summary.subject().to_owned()).filter(|subject| !subject.is_empty());
    uri.or_else(subject).unwrap_or_else(|| "no name".to_owned())
}

fn over(summary: &CertificateSummary, at: SystemTime) -> Option<String> {
    let validity = summary.validity();
    let distance =
        |earlier: SystemTime, later: SystemTime| span(later.duration_since(earlier).unwrap_or_default());
    if at > validity.not_after() {
        let (end, since) = (moment(validity.not_after()), distance(validity.not_after(), at));
        return Some(format!("it expired {since} before, at {end}"));
    }
    (at < validity.not_before()).then(|| {
        let (begin, until) = (moment(validity.not_before()), distance(at, validity.not_before()));
        format!("it is not valid yet, only {until} later, from {begin}; check the clocks")
    })
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.held { styled(GOOD, "✓") } else { styled(BAD, "✗") };
        writeln!(f, "{mark} {:<12} {}  {}", self.role, styled(BOLD, &self.name), styled(DIM, &self.origin))?;
        writeln!(f, "               {}", wrapped(15, &self.statement))
    }
}
