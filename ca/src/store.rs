//! The state of a CA on one machine: a directory that only its user can enter.
//!
//! | file | what it is |
//! |---|---|
//! | `state.json` | epoch and sequence of the bundle, trust domain, the authority that signs and the one that will, every root that is published |
//! | `key-<fingerprint>.pem` | a private key that this CA made, PKCS#8, mode 0600 |
//! | `kept-key-<fingerprint>.pem` | a copy of a key from elsewhere, for as long as a restart would need it (`authority.keep_key`) |
//! | `root-cert.pem` | the trust bundle as operators hand it to others; made from `state.json` whenever it differs |
//! | `key-<fingerprint>.pem.stray` | a key that `state.json` does not name, set aside |
//! | `lock` | held for as long as the process lives, so that two CAs never share a directory; says whose it is |
//!
//! `state.json` is replaced as a whole and is the one point of commit: a crash before it leaves the previous
//! state (and perhaps a key that nothing names, which the next start sets aside), a crash after it the new
//! one. Nothing that cannot be understood is ever overwritten.

mod error;
mod judged;
mod lock;
mod state;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use signet_identity::{BundleVersion, CaCertificate, PrivateKey, SigningKey, TrustBundle, TrustDomain};
use signet_runtime::files;

pub use self::{
    error::{Corruption, StoreError},
    lock::holder,
    state::KeyRef,
};
use self::{
    judged::{Judged, read_key},
    lock::DirectoryLock,
    state::{KeyFile, State},
};
use crate::trust::{KnownAuthority, Origin, Trust};

/// Where the state is, and whose.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Made with mode 0700 if absent.
    pub directory: PathBuf,
    /// Of every certificate this CA issues. A directory belongs to one for ever.
    pub trust_domain: TrustDomain,
    /// Where the authority comes from that is to sign: of a local one, the state must hold what it needs.
    pub origin: Origin,
}

/// The open state directory. No other process can open it while this value lives.
#[derive(Debug)]
pub struct DirectoryStore {
    settings: StoreSettings,
    held: Option<Held>,
    _lock: DirectoryLock,
}

/// What the directory holds.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) trust: Trust,
    /// The bundle that follows from it.
    pub(crate) bundle: TrustBundle,
    version: BundleVersion,
}

impl DirectoryStore {
    /// Opens the directory and reads what it holds: nothing, if it is empty or was just made.
    ///
    /// # Errors
    /// The first of the faults that [`judge`] finds, or that the directory is in use or cannot be written.
    pub fn open(settings: &StoreSettings, now: SystemTime) -> Result<Self, StoreError> {
        let directory = &settings.directory;
        files::create_private_directory(directory)?;
        let lock = DirectoryLock::take(directory)?;
        let Judged { held, faults } = Judged::of(settings, now);
        if let Some(fault) = faults.into_iter().next() {
            return Err(fault);
        }
        files::remove_leftovers(directory)?;
        let store = Self { settings: settings.clone(), held, _lock: lock };
        store.follow()?;
        Ok(store)
    }

    /// What it holds, unless nothing was ever committed.
    pub(crate) fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// Makes `trust` durable, with a new version if other roots follow from it.
    ///
    /// # Errors
    /// It would have too many roots, or cannot be written; what was held still is.
    pub(crate) fn commit(&mut self, trust: Trust, now: SystemTime) -> Result<(), StoreError> {
        let roots: Vec<_> = trust.roots().cloned().collect();
        let same_roots =
            |held: &Held| held.trust.roots().collect::<HashSet<_>>() == roots.iter().collect::<HashSet<_>>();
        let version = match &self.held {
            None => BundleVersion {
                epoch: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
                sequence: 1,
            },
            Some(held) if same_roots(held) => held.version,
            Some(Held { version, .. }) => BundleVersion { sequence: version.sequence + 1, ..*version },
        };
        let StoreSettings { directory, trust_domain, .. } = &self.settings;
        let bundle =
            TrustBundle::new(trust_domain.clone(), roots, Some(version)).map_err(StoreError::TooManyRoots)?;
        State::of(trust_domain, version, &trust).write(directory)?;
        self.held = Some(Held { trust, bundle, version });
        Ok(())
    }

    /// Does what follows from the committed state, and decides nothing: sets aside the keys that it does not name,
    /// and exports its bundle. To be called after each commit, and until it succeeds.
    ///
    /// # Errors
    /// Something of it cannot be done. The rest is.
    pub(crate) fn follow(&self) -> Result<(), StoreError> {
        let (tidied, exported) = (self.tidy_keys(), self.export_bundle());
        tidied.and(exported)
    }

    /// The root that this CA made for itself, with its key; a new one if there is none.
    ///
    /// # Errors
    /// The key cannot be read, or none can be made.
    pub(crate) fn local_root(
        &self,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<(KnownAuthority, SigningKey), StoreError> {
        let trust = self.held.as_ref().map(|held| &held.trust);
        let known = trust.into_iter().flat_map(|trust| [Some(trust.active()), trust.next()]).flatten();
        let mut ours = known.filter(|known| known.origin == Origin::Local);
        match ours.find_map(|known| Some((known, known.key.as_ref()?))) {
            Some((known, key)) => Ok((known.clone(), self.read_key(key, &known.certificate)?)),
            None => self.new_root(lifetime, now),
        }
    }

    /// Reads a key that the directory holds.
    ///
    /// # Errors
    /// The key file is missing, shared, or not the certificate's.
    pub(crate) fn read_key(
        &self,
        key: &KeyRef,
        certificate: &CaCertificate,
    ) -> Result<SigningKey, StoreError> {
        read_key(&self.settings.directory, key, Some(certificate))
    }

    /// Keeps a copy of a key from elsewhere, until a committed trust no longer names it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn keep_key(&self, key: &SigningKey) -> Result<KeyRef, StoreError> {
        let kept = KeyRef::of(key.public_key(), KeyFile::Kept);
        let path = self.settings.directory.join(kept.file_name());
        files::write_atomically(&path, key.to_pem().as_bytes(), 0o600)?;
        Ok(kept)
    }

    /// Makes a root: the key now; the state that names it is committed by whoever takes it.
    fn new_root(
        &self,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<(KnownAuthority, SigningKey), StoreError> {
        let StoreSettings { directory, trust_domain, .. } = &self.settings;
        let key = PrivateKey::generate().map_err(StoreError::NewKey)?;
        let certificate = CaCertificate::self_signed(&key, trust_domain, now, lifetime)
            .map_err(StoreError::NewCertificate)?;
        let own = KeyRef::of(key.public_key(), KeyFile::Own);
        files::write_atomically(&directory.join(own.file_name()), key.to_pkcs8_pem().as_bytes(), 0o600)?;
        tracing::info!(directory = %directory.display(), authority = certificate.key_id(), "made a new root");
        let roots = vec![certificate.der().clone()];
        let known = KnownAuthority {
            origin: Origin::Local,
            certificate,
            intermediates: Vec::new(),
            roots,
            key: Some(own),
        };
        Ok((known, key.into()))
    }

    /// Deals with keys that the state does not name: a copy is removed, a key that could have signed is set aside
    /// and never destroyed.
    fn tidy_keys(&self) -> Result<(), StoreError> {
        let directory = &self.settings.directory;
        let named: Vec<_> = self.held.iter().flat_map(|held| held.trust.keys()).collect();
        let tidy = || {
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                let Some(key) = KeyRef::named(&entry.file_name()).filter(|key| !named.contains(&key)) else {
                    continue;
                };
                if key.kind() == KeyFile::Kept {
                    fs::remove_file(entry.path())?;
                    continue;
                }
                let stray = format!("{}.stray", key.file_name());
                fs::rename(entry.path(), directory.join(&stray))?;
                tracing::warn!(
                    file = stray,
                    "set a key aside that the state does not name; remove it if no other CA needs it"
                );
            }
            Ok(())
        };
        tidy().map_err(|source| StoreError::Directory { directory: directory.clone(), source })
    }

    fn export_bundle(&self) -> Result<(), StoreError> {
        let Some(held) = &self.held else { return Ok(()) };
        let (path, pem) = (root_certificate_path(&self.settings.directory), held.bundle.to_pem());
        if fs::read(&path).is_ok_and(|exported| exported == pem.as_bytes()) {
            return Ok(());
        }
        Ok(files::write_atomically(&path, pem.as_bytes(), 0o644)?)
    }
}

/// Everything that would keep a start at `now` from using the directory of `settings`. Reads, changes nothing, and
/// does not ask whether another process has it open: [`holder`] does.
pub fn judge(settings: &StoreSettings, now: SystemTime) -> Vec<StoreError> {
    Judged::of(settings, now).faults
}

/// Whether a CA has committed anything there, whatever that is worth.
pub fn holds_state(directory: &Path) -> bool {
    state::path(directory).exists()
}

fn root_certificate_path(directory: &Path) -> PathBuf {
    directory.join("root-cert.pem")
}
