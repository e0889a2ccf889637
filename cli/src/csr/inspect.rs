//! `signet csr inspect`.

use std::fmt::{self, Display};

use anyhow::Result;
use clap::Args;
use der::{Decode, Encode};
use ring::digest::{SHA256, digest};
use serde::Serialize;
use signet_identity::{BrokenRule, Csr, CsrError, PublicKey, SignatureAlgorithm, SpiffeId};
use signet_runtime::telemetry::chain as told;
use x509_cert::ext::Extension;
use x509_cert::request::{CertReq, ExtensionReq};

use crate::cert::{Extensions, algorithm, escaped, hex, key, line};
use crate::input::{self, Item, Kind, Source};
use crate::outcome::Outcome;
use crate::output::{BAD, BOLD, Console, DIM, GOOD, styled, wrapped};

/// Where the CSRs are.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// PEM, DER or base64 of either: in a file, `-`, or https://...
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<Source>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  signet csr inspect csr.pem
  openssl req -new -key key.pem -subj / | signet csr inspect -
  signet csr inspect --output json csr.pem

Exit code 1: signet-ca would refuse it, whatever the token.";

/// All of them.
#[derive(Debug, Serialize)]
struct Pile {
    held: bool,
    requests: Vec<Portrait>,
}

/// One CSR, as much of it as can be read.
#[derive(Debug, Serialize)]
pub(super) struct Portrait {
    origin: String,
    held: bool,
    #[serde(flatten)]
    content: Option<Content>,
    deviations: Vec<Deviation>,
    /// What signet-ca would answer: a gRPC status, or `OK` if the token is that of the identity.
    answer: &'static str,
}

#[derive(Debug, Serialize)]
struct Content {
    subject: String,
    key: String,
    key_sha256: String,
    signature_algorithm: String,
    /// Whether the sender showed that it holds the private key.
    possession_proven: bool,
    #[serde(flatten)]
    requested: Extensions,
}

#[derive(Debug, Serialize)]
struct Deviation {
    /// Its number, where it is a rule of SPIFFE's.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    statement: String,
}

impl Inspect {
    /// Shows them.
    pub(crate) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        let items = input::all(&self.inputs, &Kind::Request)?;
        let requests: Vec<_> = items.iter().map(Portrait::of).collect();
        let pile = Pile { held: requests.iter().all(|request| request.held), requests };
        console.answer(&pile)?;
        Ok(pile.held.into())
    }
}

impl Portrait {
    /// What it says, and what becomes of it.
    pub(super) fn of(item: &Item) -> Self {
        let parsed = Csr::from_der(&item.der);
        let content = CertReq::from_der(&item.der).ok().map(|csr| Content::of(&csr, &parsed));
        let (deviations, answer) = match &parsed {
            Err(fault) => {
                (vec![Deviation { rule: None, statement: told(fault).to_string() }], "INVALID_ARGUMENT")
            }
            Ok(csr) => {
                let deviations = of_names(csr);
                let answer = if deviations.is_empty() { "OK" } else { "PERMISSION_DENIED" };
                (deviations, answer)
            }
        };
        Self { origin: item.origin.clone(), held: deviations.is_empty(), content, deviations, answer }
    }

    /// What signet-ca would answer.
    #[cfg(test)]
    pub(super) fn answer(&self) -> &'static str {
        self.answer
    }
}

/// Exactly one name, which is the SPIFFE ID of a workload.
fn of_names(csr: &Csr) -> Vec<Deviation> {
    let mut deviations = Vec::new();
    let mut tell = |rule, statement: String| deviations.push(Deviation { rule, statement });
    let uris = csr.requested_uris();
    match uris {
        [uri] => match uri.parse::<SpiffeId>() {
            Err(fault) => tell(fault.rule(), format!("{:?} is no SPIFFE ID: {fault}", uri)),
            Ok(id) if id.path().is_empty() => {
                tell(
                    Some(BrokenRule::RootPath.number()),
                    format!("{id} names a trust domain and no workload"),
                );
            }
            Ok(_) => {}
        },
        _ => tell(
            Some(BrokenRule::Uris { count: uris.len() }.number()),
            format!("it asks for {} URI names, and an SVID has exactly one", uris.len()),
        ),
    }
    for name in csr.other_requested_names() {
        tell(None, format!("it asks for {name}, and signet-ca grants no other names than the SPIFFE ID"));
    }
    deviations
}

impl Content {
    fn of(csr: &CertReq, parsed: &Result<Csr, CsrError>) -> Self {
        let spki = csr.info.public_key.to_der().unwrap_or_default();
        let proven = match parsed {
            Ok(_) => true,
            Err(CsrError::TooManyNames | CsrError::TooManyExtensions) => false,
            Err(_) => is_proven(csr, &spki),
        };
        Self {
            subject: escaped(&csr.info.subject),
            key: key(&spki, csr.info.public_key.algorithm.oid),
            key_sha256: hex(digest(&SHA256, &spki).as_ref()),
            signature_algorithm: algorithm(csr.algorithm.oid),
            possession_proven: proven,
            requested: Extensions::of(&requested(csr)),
        }
    }
}

/// Of one that is refused for something else.
fn is_proven(csr: &CertReq, spki: &[u8]) -> bool {
    let signed = csr.info.to_der().unwrap_or_default();
    let algorithm = csr.algorithm.to_der().unwrap_or_default();
    let known = SignatureAlgorithm::from_der(&algorithm);
    match (PublicKey::from_spki(spki), known) {
        (Ok(key), Some(algorithm)) => key.verify(algorithm, &signed, csr.signature.raw_bytes()).is_ok(),
        _ => false,
    }
}

fn requested(csr: &CertReq) -> Vec<Extension> {
    let requests = csr.info.attributes.iter().filter(|attribute| attribute.oid == EXTENSION_REQUEST);
    let values = requests.flat_map(|attribute| attribute.values.iter());
    let lists = values.filter_map(|value| ExtensionReq::from_der(&value.to_der().ok()?).ok());
    lists.flat_map(|ExtensionReq(list)| list).collect()
}

impl Display for Pile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, request) in self.requests.iter().enumerate() {
            if place > 0 {
                writeln!(f)?;
            }
            write!(f, "{request}")?;
        }
        Ok(())
    }
}

impl Display for Portrait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Some(content) => {
                let name = content.requested.first_name().map_or("no name", String::as_str);
                writeln!(f, "{}  {}", styled(BOLD, name), styled(DIM, &self.origin))?;
                line(f, "subject", if content.subject.is_empty() { "none" } else { &content.subject })?;
                line(f, "key", &format!("{}, SHA-256 {}", content.key, content.key_sha256))?;
                let proven =
                    if content.possession_proven { "by that key" } else { "and not proven to be that key's" };
                line(f, "signed by", &format!("{}, {proven}", content.signature_algorithm))?;
                write!(f, "{}", content.requested)?;
            }
            None => writeln!(f, "{}", styled(BOLD, &self.origin))?,
        }
        for Deviation { rule, statement } in &self.deviations {
            writeln!(f, "{} {:<8} {}", styled(BAD, "✗"), rule.unwrap_or(""), wrapped(11, statement))?;
        }
        if self.held {
            writeln!(f, "{} signet-ca issues it to whose token is that of this identity", styled(GOOD, "✓"))
        } else {
            writeln!(f, "  signet-ca answers {}", self.answer)
        }
    }
}

const EXTENSION_REQUEST: der::oid::ObjectIdentifier =
    der::oid::ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
