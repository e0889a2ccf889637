//! Key and certificates, taken out of the files; whether they fit is not looked at.

use rustls_pki_types::{CertificateDer, pem::PemObject};
use signet_identity::{MAX_AUTHORITIES, SigningKey};

use super::{
    Faults,
    fault::{PemProblem, Problem},
    path::Found,
    snapshot::{CACERTS, Content, Layout, Snapshot, TLS},
};

/// What could be read, and what is wrong with the rest.
pub(super) struct Material {
    pub(super) layout: Layout,
    pub(super) key: Option<SigningKey>,
    /// Of the file of the certificate that signs, in its order.
    pub(super) own: Vec<Found>,
    /// Of the file of the chain.
    pub(super) between: Vec<Found>,
    pub(super) roots: Vec<Found>,
    pub(super) faults: Faults,
    pub(super) remarks: Vec<String>,
}

impl Material {
    /// # Errors
    /// There are no files of either layout.
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self, Faults> {
        let mut faults = Faults::none_in(&snapshot.directory);
        let layout = match &snapshot.unusable {
            Some(unusable) => Err(unusable.as_str()),
            None => layout_of(snapshot),
        };
        let layout = match layout {
            Ok(layout) => layout,
            Err(unusable) => {
                faults.push("", Problem::Unusable(unusable.to_owned()));
                return Err(faults);
            }
        };
        let mut reading = Reading { snapshot, faults, remarks: Vec::new() };
        let key = reading.key(layout.key);
        let own = reading.certificates(layout.certificate, "the certificate that signs", MAX_BETWEEN);
        let roots =
            reading.certificates(layout.roots, "the roots that proxies are to trust", MAX_AUTHORITIES);
        // A root that signs needs no chain; where one is needed, it is missed on the way up.
        let between = layout.chain.filter(|chain| snapshot.has(chain)).map_or_else(Vec::new, |chain| {
            reading.certificates(chain, "what stands between them", MAX_BETWEEN)
        });
        let Reading { faults, remarks, .. } = reading;
        Ok(Self { layout, key, own, between, roots, faults, remarks })
    }
}

/// By the files that sign; by any other if there are none of those, for then they are still to come.
fn layout_of(snapshot: &Snapshot) -> Result<Layout, &'static str> {
    let signs = |layout: &Layout| snapshot.has(layout.certificate) || snapshot.has(layout.key);
    let others =
        |layout: &Layout| snapshot.has(layout.roots) || layout.chain.is_some_and(|chain| snapshot.has(chain));
    match (signs(&CACERTS), signs(&TLS)) {
        (true, true) => Err(TWO_AUTHORITIES),
        (true, false) => Ok(CACERTS),
        (false, true) => Ok(TLS),
        (false, false) if others(&CACERTS) => Ok(CACERTS),
        (false, false) if others(&TLS) => Ok(TLS),
        (false, false) => Err(NO_AUTHORITY),
    }
}

/// Takes files out of a snapshot, noting what is wrong with them.
struct Reading<'a> {
    snapshot: &'a Snapshot,
    faults: Faults,
    remarks: Vec<String>,
}

impl<'a> Reading<'a> {
    fn key(&mut self, file: &'static str) -> Option<SigningKey> {
        let text = self.text(file, "the private key that signs")?;
        self.remark_if_shared(file);
        SigningKey::from_pem(text).map_err(|error| self.faults.push(file, error)).ok()
    }

    /// Kubernetes' default; in a container that runs nothing else it is no harm.
    fn remark_if_shared(&mut self, file: &'static str) {
        if matches!(self.snapshot.content(file), Content::Read(mounted) if mounted.readable_by_all) {
            self.remarks.push(format!(
                "{file}: every user of this machine or container may read it; if others than the CA run \
                 there, set `defaultMode: 0400` for the volume, or `chmod o-r` the file"
            ));
        }
    }

    fn certificates(&mut self, file: &'static str, holds: &'static str, max: usize) -> Vec<Found> {
        let Some(text) = self.text(file, holds) else { return Vec::new() };
        parse(file, text, max).map_err(|problem| self.faults.push(file, problem)).unwrap_or_default()
    }

    fn text(&mut self, file: &'static str, holds: &'static str) -> Option<&'a str> {
        match self.snapshot.content(file) {
            Content::Absent => self.faults.push(file, Problem::Missing(holds)),
            Content::Unusable(reason) => self.faults.push(file, Problem::Unusable(reason.clone())),
            // What is not UTF-8 has no PEM in it.
            Content::Read(mounted) => return Some(std::str::from_utf8(&mounted.content).unwrap_or_default()),
        }
        None
    }
}

fn parse(file: &'static str, text: &str, max: usize) -> Result<Vec<Found>, PemProblem> {
    let mut all = Vec::new();
    for der in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let der = der.map_err(|_| PemProblem::Damaged)?;
        if all.len() == max {
            return Err(PemProblem::TooMany(max));
        }
        all.push(Found { file, number: all.len() + 1, der });
    }
    if all.is_empty() { Err(PemProblem::None) } else { Ok(all) }
}

const TWO_AUTHORITIES: &str = "it has two authorities, ca-cert.pem with ca-key.pem and tls.crt with tls.key; \
                               leave the one that is to sign";
const NO_AUTHORITY: &str = "it has no authority in it; put ca-cert.pem, ca-key.pem, root-cert.pem and \
                            cert-chain.pem there, or tls.crt, tls.key and ca.crt";

/// Of one file; a chain has two or three.
pub(super) const MAX_BETWEEN: usize = 16;
