//! What a state directory holds, read without changing it: by a start under its lock, and by a check.

use std::{io, path::Path, time::SystemTime};

use signet_identity::{CaCertificate, SigningKey, TrustBundle, TrustDomain};
use signet_runtime::files::{self, FileError};

use super::{
    Corruption, Held, StoreError, StoreSettings, root_certificate_path,
    state::{self, KeyFile, KeyRef, State},
};
use crate::trust::{KnownAuthority, Origin, Trust};

/// A directory, as it was found.
pub(super) struct Judged {
    /// A state whose parts belong together, if there is no fault. `None` without one: nothing was ever committed.
    pub(super) held: Option<Held>,
    /// Everything that keeps a CA from using the directory.
    pub(super) faults: Vec<StoreError>,
}

impl Judged {
    /// Judges the directory as that of a CA that signs at `now`.
    pub(super) fn of(settings: &StoreSettings, now: SystemTime) -> Self {
        let directory = &settings.directory;
        let mut faults = Faults(Vec::new());
        faults.keep(files::judge_private_directory(directory).map_err(StoreError::from));
        let held = match faults.keep(State::read(directory)) {
            Some(Some(state)) => faults.judge(settings, now, state),
            Some(None) => {
                faults.keep(refuse_if_lost(directory));
                None
            }
            None => None,
        };
        let Faults(faults) = faults;
        Self { held, faults }
    }
}

impl Held {
    /// What `state` says. The keys are not read.
    fn of(directory: &Path, trust_domain: &TrustDomain, state: State) -> Result<Self, StoreError> {
        let corrupt = |source| StoreError::Corrupt { path: state::path(directory), source };
        let version = state.version();
        let trust = state.trust().map_err(corrupt)?;
        let roots = trust.roots().cloned().collect();
        let bundle = TrustBundle::new(trust_domain.clone(), roots, Some(version))
            .map_err(|error| corrupt(error.into()))?;
        Ok(Self { trust, bundle, version })
    }
}

/// Faults are collected, and judging goes on with what can be judged.
struct Faults(Vec<StoreError>);

impl Faults {
    fn keep<T>(&mut self, judged: Result<T, StoreError>) -> Option<T> {
        judged.map_err(|fault| self.0.push(fault)).ok()
    }

    fn judge(&mut self, settings: &StoreSettings, now: SystemTime, state: State) -> Option<Held> {
        let StoreSettings { directory, trust_domain, origin } = settings;
        self.keep(refuse_other_trust_domain(directory, trust_domain, &state));
        let held = self.keep(Held::of(directory, trust_domain, state))?;
        self.keep(refuse_if_over(directory, &held.trust, *origin, now));
        let known = [Some(held.trust.active()), held.trust.next()].into_iter().flatten();
        for (known, key) in known.filter_map(|known| Some((known, known.key.as_ref()?))) {
            self.judge_key(directory, known, key);
        }
        Some(held)
    }

    /// A copy that is gone is a loss that a start copes with; it is no use to refuse the start for it.
    fn judge_key(&mut self, directory: &Path, known: &KnownAuthority, key: &KeyRef) {
        match read_key(directory, key, Some(&known.certificate)) {
            Err(StoreError::KeyLost { .. }) if key.kind() == KeyFile::Kept => {}
            read => drop(self.keep(read)),
        }
    }
}

/// The key that `key` names, which must be that of the certificate.
pub(super) fn read_key(
    directory: &Path,
    key: &KeyRef,
    certificate: Option<&CaCertificate>,
) -> Result<SigningKey, StoreError> {
    let path = directory.join(key.file_name());
    let pem = files::read_private(&path).map_err(|fault| match fault {
        FileError::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            StoreError::KeyLost { key: path.clone() }
        }
        fault => fault.into(),
    })?;
    let corrupt = |source| StoreError::Corrupt { path: path.clone(), source };
    let pem = std::str::from_utf8(&pem).map_err(|_binary| corrupt(Corruption::KeyNotText))?;
    let key = SigningKey::from_pem(pem).map_err(|error| corrupt(error.into()))?;
    if certificate.is_some_and(|certificate| key.public_key() != certificate.public_key()) {
        return Err(corrupt(Corruption::OtherKey));
    }
    Ok(key)
}

fn refuse_if_lost(directory: &Path) -> Result<(), StoreError> {
    let root_certificate = root_certificate_path(directory);
    let had_root = root_certificate.try_exists();
    if had_root.map_err(|source| StoreError::Directory { directory: directory.to_owned(), source })? {
        return Err(StoreError::Lost { state: state::path(directory), root_certificate });
    }
    Ok(())
}

fn refuse_other_trust_domain(
    directory: &Path,
    trust_domain: &TrustDomain,
    state: &State,
) -> Result<(), StoreError> {
    if state.trust_domain() == trust_domain.as_str() {
        return Ok(());
    }
    Err(StoreError::OtherTrustDomain {
        directory: directory.to_owned(),
        stored: state.trust_domain().to_owned(),
        configured: trust_domain.clone(),
    })
}

/// A local authority that is over has no successor but the one that an operator decides on; from elsewhere, one may
/// come at any time.
fn refuse_if_over(
    directory: &Path,
    trust: &Trust,
    origin: Origin,
    now: SystemTime,
) -> Result<(), StoreError> {
    let active = trust.active();
    if origin != Origin::Local || active.origin != Origin::Local || trust.next().is_some() {
        return Ok(());
    }
    let signs = active.certificate.validity().signs_at(now);
    signs.map_err(|source| StoreError::NotValid { directory: directory.to_owned(), source })
}
