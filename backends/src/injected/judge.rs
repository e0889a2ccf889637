//! Whether the files of one moment are an authority, and what is wrong if they are not.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use rustls_pki_types::CertificateDer;
use signet_identity::{CaCertificate, CertificateSummary, SigningKey};

use super::{
    Faults, InjectedSet,
    fault::{Limit, Problem, at},
    material::Material,
    path::{self, Found, Way},
    snapshot::Snapshot,
};

#[cfg(test)]
mod tests;

/// The set, if nothing keeps it from signing for at least `min_remaining` from `now` on.
pub(super) fn judge(
    snapshot: &Snapshot,
    now: SystemTime,
    min_remaining: Duration,
) -> Result<InjectedSet, Faults> {
    let Material { layout, key, own, between, roots, mut faults, mut remarks } = Material::of(snapshot)?;
    let terms = Terms { directory: &snapshot.directory, roots: layout.roots, now, min_remaining };
    let signer = signer(&own, key.as_ref());
    // Roots that others signed may stand between, too: some hand over their whole chain as roots.
    let others = own.iter().filter(|one| Some(*one) != signer);
    let others = others.chain(roots.iter().filter(|root| !root.is_self_signed())).cloned();
    let between: Vec<Found> = between.into_iter().chain(others).collect();

    for root in &roots {
        faults.extend(terms.of_authority(root));
    }
    if let Some(signer) = signer {
        faults.extend(terms.of_signer(signer));
    }
    if let (Some(signer), Some(key)) = (signer, &key)
        && !is_of(signer, key)
    {
        faults.push(layout.key, Problem::AnotherKey { certificate: signer.file });
    }
    let way = signer.filter(|_| !roots.is_empty()).and_then(|signer| {
        let (way, found) = terms.best_way(signer, &between, &roots);
        faults.extend(found);
        way
    });
    let (Some(key), Some(signer), Some(way), true) = (key, signer, way, faults.is_empty()) else {
        return Err(faults);
    };
    remarks.extend(terms.remarks(&way, &roots));
    let certificate = match CaCertificate::from_der(signer.der.clone()) {
        Ok(certificate) => certificate,
        Err(source) => {
            faults.push(signer.file, Problem::Certificate { name: signer.name(), source });
            return Err(faults);
        }
    };
    let intermediates = way.between.iter().map(|one| one.der.clone()).collect();
    Ok(InjectedSet { key, certificate, intermediates, roots: distinct(&roots), remarks })
}

/// The certificate of the key, wherever in its file it stands; the first if it is not there.
fn signer<'a>(own: &'a [Found], key: Option<&SigningKey>) -> Option<&'a Found> {
    key.and_then(|key| own.iter().find(|one| is_of(one, key))).or(own.first())
}

fn is_of(certificate: &Found, key: &SigningKey) -> bool {
    CertificateSummary::of(&certificate.der)
        .is_ok_and(|summary| summary.spki_der() == key.public_key().spki_der())
}

fn distinct(roots: &[Found]) -> Vec<CertificateDer<'static>> {
    let mut all = Vec::with_capacity(roots.len());
    for root in roots {
        if !all.contains(&root.der) {
            all.push(root.der.clone());
        }
    }
    all
}

/// What every certificate is held against.
struct Terms<'a> {
    directory: &'a Path,
    /// The file of the roots.
    roots: &'static str,
    now: SystemTime,
    min_remaining: Duration,
}

impl Terms<'_> {
    fn of_signer(&self, signer: &Found) -> Faults {
        let mut faults = Faults::none_in(self.directory);
        for source in CaCertificate::faults(&signer.der) {
            faults.push(signer.file, Problem::Certificate { name: signer.name(), source });
        }
        self.hold_to_its_time(signer, &mut faults);
        faults
    }

    fn of_authority(&self, authority: &Found) -> Faults {
        let mut faults = Faults::none_in(self.directory);
        for source in CaCertificate::faults_above(&authority.der) {
            faults.push(authority.file, Problem::Certificate { name: authority.name(), source });
        }
        faults
    }

    /// The way up with the fewest faults, to a root that signs itself if there is one, and the shortest of
    /// those; and the faults.
    fn best_way<'f>(
        &self,
        signer: &'f Found,
        between: &'f [Found],
        roots: &'f [Found],
    ) -> (Option<Way<'f>>, Faults) {
        let none = Faults::none_in(self.directory);
        let ways = match path::find(signer, between, roots) {
            Ok(ways) => ways,
            Err((top, source)) => {
                let mut faults = none;
                faults.push(top.file, Problem::Link { name: top.name(), roots: self.roots, source });
                return (None, faults);
            }
        };
        let judged = ways.into_iter().map(|way| (self.of_way(&way), way));
        let rank =
            |(faults, way): &(Faults, Way<'_>)| (faults.len(), !way.root.is_self_signed(), way.between.len());
        judged.min_by_key(rank).map_or((None, none), |(faults, way)| (Some(way), faults))
    }

    /// Of what stands above the signer.
    fn of_way(&self, way: &Way<'_>) -> Faults {
        let mut faults = Faults::none_in(self.directory);
        for (below, one) in way.between.iter().chain([&way.root]).enumerate().skip(1) {
            if one.file != self.roots {
                faults.extend(self.of_authority(one));
            }
            self.hold_to_its_time(one, &mut faults);
            let allowed = CertificateSummary::of(&one.der).ok().and_then(|summary| summary.path_len());
            if let Some(allowed) = allowed.filter(|allowed| usize::from(*allowed) < below) {
                let limit = Limit::PathLength { allowed, below };
                faults.push(one.file, Problem::Limit { name: one.name(), limit });
            }
        }
        faults
    }

    fn hold_to_its_time(&self, one: &Found, faults: &mut Faults) {
        if let Some(limit) = self.limit_of_time(one) {
            faults.push(one.file, Problem::Limit { name: one.name(), limit });
        }
    }

    fn limit_of_time(&self, one: &Found) -> Option<Limit> {
        let validity = CertificateSummary::of(&one.der).ok()?.validity();
        let (now, wanted) = (self.now, self.min_remaining);
        if now < validity.not_before() {
            return Some(Limit::NotYetValid(validity.not_before()));
        }
        if now > validity.not_after() {
            return Some(Limit::Expired(validity.not_after()));
        }
        (validity.remaining(now) < wanted).then_some(Limit::EndsSoon { end: validity.not_after(), wanted })
    }

    /// Roots beside the one that leaves lead to may come later, or be over: they are for the leaves of
    /// others, and must not keep this authority from signing.
    fn remarks(&self, way: &Way<'_>, roots: &[Found]) -> Vec<String> {
        let mut remarks = Vec::new();
        for root in roots.iter().filter(|root| root.der != way.root.der) {
            let (file, name) = (root.file, root.name());
            match self.limit_of_time(root) {
                Some(Limit::Expired(end)) => {
                    remarks.push(format!("{file}: {name} is over since {}; leave it out", at(&end)));
                }
                Some(limit @ Limit::NotYetValid(_)) => remarks.push(format!("{file}: {name} {limit}")),
                _ => {}
            }
        }
        if !way.root.is_self_signed() {
            remarks.push(format!(
                "{}: {}, which leaves lead to, is not self-signed; some TLS stacks trust no such root",
                way.root.file,
                way.root.name()
            ));
        }
        remarks
    }
}
