//! Whether an answer is what was asked for: each point by itself, so that one fault does not hide another.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use signet_client::Issued;
use signet_identity::{
    CertificateSummary, Expected, SpiffeId, SvidError, TrustBundle, X509Svid, verify_path,
};

use super::answer::{Answer, Link, Taken};
use super::ask::Ask;
use crate::output::{Check, span};

/// What came back, from whom, and when.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) issued: Issued,
    /// The certificates of `--anchors`.
    pub(super) anchors: Vec<CertificateDer<'static>>,
    pub(super) taken: Taken,
    pub(super) at: SystemTime,
}

impl Answered {
    /// Compares it with what was asked for.
    pub(super) fn judge(&self, ask: &Ask) -> Result<Answer> {
        let Issued { chain, bundle } = &self.issued;
        let leaf = chain.first().context("the CA's answer has no certificate in it")?;
        let leaf = CertificateSummary::of(leaf).context("the CA's certificate cannot be read")?;
        let checks = vec![
            Check::new("name", name(&leaf, ask)),
            Check::new("key", key(&leaf, ask)),
            Check::new("chain", self.path(bundle.authorities(), "the roots that came with it")),
            Check::new("anchors", self.path(&self.anchors, "--anchors")),
            Check::new("lifetime", self.lifetime(&leaf, ask)),
            Check::new("rules", self.rules(&leaf)),
        ];
        Ok(Answer {
            held: checks.iter().all(Check::held),
            spiffe_id: leaf.uris().first().cloned(),
            serial: leaf.serial().to_owned(),
            issuer: leaf.issuer().to_owned(),
            not_before: leaf.validity().not_before(),
            not_after: leaf.validity().not_after(),
            lifetime: leaf.validity().remaining(self.at),
            taken: self.taken,
            checks,
            chain: links(chain, "intermediate").skip(1).chain(links(bundle.authorities(), "root")).collect(),
            chain_pem: pem(chain),
            bundle_pem: bundle.to_pem(),
        })
    }

    fn path(&self, roots: &[CertificateDer<'static>], whose: &str) -> Result<String, String> {
        let chain = &self.issued.chain;
        let led = bundle(&self.issued, roots)
            .and_then(|bundle| verify_path(chain, &bundle, self.at).map_err(|fault| told(&fault)));
        match led {
            Ok(_) => Ok(format!("{} to {whose}", certificates(chain.len()))),
            Err(fault) => {
                Err(format!("{} that {whose} do not vouch for: {fault}", certificates(chain.len())))
            }
        }
    }

    /// A CA may cut what is asked for: then it is not what was asked for.
    fn lifetime(&self, leaf: &CertificateSummary, ask: &Ask) -> Result<String, String> {
        let (validity, left) = (leaf.validity(), leaf.validity().remaining(self.at));
        if self.at < validity.not_before() {
            return Err("not valid yet: check the clocks of this machine and of the CA".to_owned());
        }
        if left.is_zero() {
            return Err("over already: check the clocks of this machine and of the CA".to_owned());
        }
        match ask.lifetime {
            None => Ok(format!("{}, which was left to the CA", span(left))),
            Some(asked) if asked.abs_diff(left) <= SLACK + self.taken.issue => {
                Ok(format!("{} as asked", span(asked)))
            }
            Some(asked) if left < asked => Err(format!(
                "{} where {} was asked for: the CA's longest is shorter",
                span(left),
                span(asked)
            )),
            Some(asked) => Err(format!("{} where {} was asked for", span(left), span(asked))),
        }
    }

    /// The rules of X.509-SVID for the leaf as it is: whether it is the one that was asked for is another matter.
    fn rules(&self, leaf: &CertificateSummary) -> Result<String, String> {
        let uri = leaf.uris().first().map(String::as_str).unwrap_or_default();
        let identity: SpiffeId = uri.parse().map_err(|fault| format!("no SPIFFE ID: {}", told(&fault)))?;
        let public_key = leaf.public_key().map_err(|fault| told(&fault))?;
        let bundle = TrustBundle::new(
            identity.trust_domain().clone(),
            self.issued.bundle.authorities().to_vec(),
            None,
        )
        .map_err(|fault| told(&fault))?;
        let expected = Expected { identity: &identity, public_key: &public_key };
        match X509Svid::verify(self.issued.chain.clone(), expected, &bundle, self.at) {
            Ok(_) => Ok("an X.509-SVID".to_owned()),
            // These have lines of their own.
            Err(SvidError::NotTrusted { .. } | SvidError::NotYetValid | SvidError::Expired) => {
                Ok("an X.509-SVID".to_owned())
            }
            Err(fault) => Err(told(&fault)),
        }
    }
}

/// The certificates of a file of anchors.
pub(super) fn anchors(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let pem = fs::read(file).with_context(|| {
        format!(
            "cannot read --anchors {}: give the CA's root certificate, root-cert.pem in its state directory",
            file.display()
        )
    })?;
    let anchors: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let anchors = anchors.unwrap_or_default();
    ensure!(!anchors.is_empty(), "--anchors {} holds no certificate in PEM", file.display());
    Ok(anchors)
}

/// One PEM block a certificate.
pub(super) fn pem(chain: &[CertificateDer<'_>]) -> String {
    chain.iter().map(|certificate| signet_identity::certificate_pem(certificate)).collect()
}

fn name(leaf: &CertificateSummary, ask: &Ask) -> Result<String, String> {
    let found = leaf.uris().join(", ");
    match &ask.identity {
        Some(asked) if leaf.uris() == [asked.as_str()] => Ok(format!("{asked} as asked")),
        Some(asked) => Err(format!("{found:?} where {asked} was asked for")),
        None => Err(format!(
            "{found:?}, and the CSR does not say whom it is for: name the identity to compare with"
        )),
    }
}

fn key(leaf: &CertificateSummary, ask: &Ask) -> Result<String, String> {
    match &ask.public_key {
        Ok(key) if key.spki_der() == leaf.spki_der() => Ok(format!("{}, that of the CSR", key.algorithm())),
        Ok(_) => Err("not that of the CSR".to_owned()),
        Err(fault) => Err(format!("certified, of a CSR that should be refused: {}", told(fault))),
    }
}

fn bundle(issued: &Issued, roots: &[CertificateDer<'static>]) -> Result<TrustBundle, String> {
    let trust_domain = issued.bundle.trust_domain().clone();
    TrustBundle::new(trust_domain, roots.to_vec(), None).map_err(|fault| told(&fault))
}

fn links<'a>(chain: &'a [CertificateDer<'_>], role: &'static str) -> impl Iterator<Item = Link> + 'a {
    chain.iter().filter_map(move |certificate| {
        let summary = CertificateSummary::of(certificate).ok()?;
        Some(Link {
            role,
            subject: summary.subject().to_owned(),
            serial: summary.serial().to_owned(),
            not_after: summary.validity().not_after(),
        })
    })
}

fn certificates(count: usize) -> String {
    match count {
        1 => "a leaf".to_owned(),
        2 => "a leaf and 1 intermediate".to_owned(),
        more => format!("a leaf and {} intermediates", more - 1),
    }
}

/// The fault and all its causes.
fn told(fault: &(dyn Error + 'static)) -> String {
    signet_runtime::telemetry::chain(fault).to_string()
}

/// Certificates have whole seconds, and clocks of two machines differ a little.
const SLACK: Duration = Duration::from_secs(5);
