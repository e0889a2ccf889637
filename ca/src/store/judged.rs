//! What a state directory holds, read without changing it: by a start under its lock, and by a check.

use std::{io, path::Path, time::SystemTime};

use signet_identity::{
    BundleError, BundleVersion, CaCertificate, KeyError, PrivateKey, TrustBundle, TrustDomain,
};
use signet_runtime::files::{self, FileError};

use super::{
    Corruption, StoreError, root_certificate_path,
    state::{self, Active, KeyRef, State},
};

/// A directory, as it was found.
pub(super) struct Judged {
    /// A state whose parts belong together. `None` without a fault: a first start makes one.
    pub(super) stored: Option<Stored>,
    /// Everything that keeps a CA from using the directory.
    pub(super) faults: Vec<StoreError>,
}

/// A state that can be signed with.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) key: KeyRef,
    pub(super) certificate: CaCertificate,
    pub(super) bundle: TrustBundle,
}

impl Judged {
    /// Judges `directory` as that of a CA for `trust_domain` that signs at `now`.
    pub(super) fn of(directory: &Path, trust_domain: &TrustDomain, now: SystemTime) -> Self {
        let mut faults = Faults(Vec::new());
        faults.keep(files::judge_private_directory(directory).map_err(StoreError::from));
        let stored = match faults.keep(State::read(directory)) {
            Some(Some(state)) => faults.judge(directory, trust_domain, now, state),
            Some(None) => {
                faults.keep(refuse_if_lost(directory));
                None
            }
            None => None,
        };
        let Faults(faults) = faults;
        Self { stored: stored.filter(|_| faults.is_empty()), faults }
    }
}

impl Stored {
    /// What `state` says of the authority. The key itself is not read.
    pub(super) fn of(directory: &Path, trust_domain: &TrustDomain, state: State) -> Result<Self, StoreError> {
        let State { epoch, sequence, active: Active { certificate, key }, .. } = state;
        let corrupt = |source| StoreError::Corrupt { path: state::path(directory), source };
        let version = Some(BundleVersion { epoch, sequence });
        let bundle = TrustBundle::from_pem(trust_domain.clone(), &certificate, version)
            .map_err(|error| corrupt(error.into()))?;
        let der = bundle.authorities().first().ok_or_else(|| corrupt(BundleError::Empty.into()))?;
        let certificate = CaCertificate::from_der(der.clone()).map_err(|error| corrupt(error.into()))?;
        Ok(Self { key, certificate, bundle })
    }
}

/// Faults are collected, and judging goes on with what can be judged.
struct Faults(Vec<StoreError>);

impl Faults {
    fn keep<T>(&mut self, judged: Result<T, StoreError>) -> Option<T> {
        judged.map_err(|fault| self.0.push(fault)).ok()
    }

    fn judge(
        &mut self,
        directory: &Path,
        trust_domain: &TrustDomain,
        now: SystemTime,
        state: State,
    ) -> Option<Stored> {
        self.keep(refuse_other_trust_domain(directory, trust_domain, &state));
        let key = state.active.key.clone();
        let stored = self.keep(Stored::of(directory, trust_domain, state));
        let certificate = stored.as_ref().map(|stored| &stored.certificate);
        self.keep(certificate.map_or(Ok(()), |certificate| refuse_if_over(directory, certificate, now)));
        self.keep(read_key(directory, &key, certificate));
        stored
    }
}

/// The key that `key` names, which must be that of the certificate.
pub(super) fn read_key(
    directory: &Path,
    key: &KeyRef,
    certificate: Option<&CaCertificate>,
) -> Result<PrivateKey, StoreError> {
    let path = directory.join(key.file_name());
    let pem = files::read_private(&path).map_err(|fault| match fault {
        FileError::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            StoreError::KeyLost { key: path.clone() }
        }
        fault => fault.into(),
    })?;
    let corrupt = |source| StoreError::Corrupt { path: path.clone(), source };
    let pem = std::str::from_utf8(&pem).map_err(|_binary| KeyError::NotPkcs8Pem);
    let key = pem.and_then(PrivateKey::from_pkcs8_pem).map_err(|error| corrupt(error.into()))?;
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
    if state.trust_domain == trust_domain.as_str() {
        return Ok(());
    }
    Err(StoreError::OtherTrustDomain {
        directory: directory.to_owned(),
        stored: state.trust_domain.clone(),
        configured: trust_domain.clone(),
    })
}

fn refuse_if_over(directory: &Path, certificate: &CaCertificate, now: SystemTime) -> Result<(), StoreError> {
    let signs = certificate.validity().signs_at(now);
    signs.map_err(|source| StoreError::NotValid { directory: directory.to_owned(), source })
}
