//! The state of a CA on one machine: a directory that only its user can enter.
//!
//! | file | what it is |
//! |---|---|
//! | `state.json` | epoch and sequence of the bundle, trust domain, active authority: its certificate, and the name of its key file |
//! | `key-<fingerprint>.pem` | a private key, PKCS#8, mode 0600 |
//! | `root-cert.pem` | the trust bundle as operators hand it to others; made from `state.json` whenever it differs |
//! | `key-<fingerprint>.pem.stray` | a key that `state.json` does not name, set aside by a start |
//! | `lock` | held for as long as the process lives, so that two CAs never share a directory; says whose it is |
//!
//! `state.json` is replaced as a whole and is the one point of commit: a crash before it leaves the previous
//! state (and perhaps a key that nothing names, which the next start sets aside), a crash after it the new
//! one. Nothing that cannot be understood is ever overwritten.

mod judged;
mod lock;
mod state;
#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use signet_identity::{
    BundleError, CaCertificate, CaCertificateError, Clock, KeyError, PrivateKey, TrustBundle, TrustDomain,
    ValidityError,
};
use signet_runtime::files::{self, FileError};

pub use self::lock::holder;
use self::{
    judged::{Judged, Stored, read_key},
    lock::DirectoryLock,
    state::{Active, KeyRef, State},
};

/// Where the state is, and what a new one is made of.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Made with mode 0700 if absent.
    pub directory: PathBuf,
    /// Of every certificate this CA issues. A directory belongs to one for ever.
    pub trust_domain: TrustDomain,
    /// Validity of the root that the first start makes.
    pub root_lifetime: Duration,
}

/// The open state directory. No other process can open it while this value lives.
#[derive(Debug)]
pub struct DirectoryStore {
    directory: PathBuf,
    key: KeyRef,
    certificate: CaCertificate,
    bundle: TrustBundle,
    _lock: DirectoryLock,
}

/// Why the state cannot be used, ordered by whose fault it is. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or the directory is missing, shared, or cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The directory itself refuses what an owner may do: list, lock, remove.
    #[error(
        "cannot work in the state directory {directory}: it must be writable for this process, and support locks"
    )]
    Directory {
        /// The state directory.
        directory: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process has it open.
    #[error(
        "the state directory {directory} is in use by {}. Stop that process. A CA \
         with another directory has another root, which the workloads of this one do not trust",
        holder.map_or("another process".to_owned(), |pid| format!("process {pid}"))
    )]
    InUse {
        /// The state directory.
        directory: PathBuf,
        /// What the lock file says.
        holder: Option<u32>,
    },
    /// It was made for another trust domain.
    #[error(
        "the state directory {directory} belongs to the trust domain {stored}, the configuration says {configured}. \
         Configure {stored}, or give the new trust domain a directory of its own"
    )]
    OtherTrustDomain {
        /// The state directory.
        directory: PathBuf,
        /// As in `state.json`.
        stored: String,
        /// As configured.
        configured: TrustDomain,
    },
    /// There was a state once, and it is gone.
    #[error(
        "{state} is missing, but {root_certificate} shows that this CA had a root. Restore the directory from a \
         backup; or, to begin with a new root that every workload must be given, remove {root_certificate}"
    )]
    Lost {
        /// The missing file.
        state: PathBuf,
        /// The exported bundle.
        root_certificate: PathBuf,
    },
    /// The key that the state names is gone.
    #[error(
        "{key}, the key of the root, is missing. Restore the directory from a backup; or move it away, to begin with \
         a new root that every workload must be given"
    )]
    KeyLost {
        /// The missing file.
        key: PathBuf,
    },
    /// It cannot be understood, or its parts do not belong together.
    #[error(
        "{path} cannot be used. Restore the directory from a backup; or move it away, to begin with a new root \
         that every workload must be given"
    )]
    Corrupt {
        /// The file in question.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Corruption,
    },
    /// Its authority is over, or not valid yet.
    #[error(
        "the authority in the state directory {directory} cannot sign now. Check this machine's clock; if it is \
         right, move the directory away, to begin with a new root that every workload must be given"
    )]
    NotValid {
        /// The state directory.
        directory: PathBuf,
        /// Which of the two.
        source: ValidityError,
    },
    /// No root could be made: a fault of ours, or of the machine's random numbers.
    #[error("cannot make a root key")]
    NewKey(#[source] KeyError),
    /// As above.
    #[error("cannot make a root certificate")]
    NewCertificate(#[source] CaCertificateError),
}

/// What is wrong with a stored state.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each says what it is")]
pub enum Corruption {
    #[error("it is not the JSON of a state")]
    Json(#[from] serde_json::Error),
    #[error("`{0}` is no name of a key file")]
    KeyName(String),
    #[error("the certificate of the active authority cannot be used")]
    Certificate(#[from] CaCertificateError),
    #[error("the certificates make no bundle")]
    Bundle(#[from] BundleError),
    #[error("the key cannot be read")]
    Key(#[from] KeyError),
    #[error("the key is not that of the active authority's certificate")]
    OtherKey,
}

impl DirectoryStore {
    /// Opens the directory and what it holds. An empty or absent one becomes the home of a new root.
    ///
    /// # Errors
    /// The first of the faults that [`judge`] finds, or that the directory is in use or cannot be written.
    pub fn open(settings: &StoreSettings, clock: &dyn Clock) -> Result<Self, StoreError> {
        let directory = &settings.directory;
        files::create_private_directory(directory)?;
        let lock = DirectoryLock::take(directory)?;
        let Judged { stored, faults } = Judged::of(directory, &settings.trust_domain, clock.now());
        if let Some(fault) = faults.into_iter().next() {
            return Err(fault);
        }
        files::remove_leftovers(directory)?;
        let Stored { key, certificate, bundle } =
            stored.map_or_else(|| first_root(settings, clock.now()), Ok)?;
        let store = Self { directory: directory.clone(), key, certificate, bundle, _lock: lock };
        store.set_unnamed_keys_aside()?;
        store.export_bundle()?;
        Ok(store)
    }

    /// The certificate of the active authority.
    pub fn certificate(&self) -> &CaCertificate {
        &self.certificate
    }

    /// What workloads trust, with its version.
    pub fn bundle(&self) -> &TrustBundle {
        &self.bundle
    }

    /// Reads the key of the active authority.
    ///
    /// # Errors
    /// The key file is missing, shared, or not the certificate's.
    pub fn signing_key(&self) -> Result<PrivateKey, StoreError> {
        read_key(&self.directory, &self.key, Some(&self.certificate))
    }

    /// Each was most likely made just before a crash; but a key that could have signed is never destroyed.
    fn set_unnamed_keys_aside(&self) -> Result<(), StoreError> {
        let rename = || {
            for entry in fs::read_dir(&self.directory)? {
                let entry = entry?;
                let Some(key) = KeyRef::named(&entry.file_name()).filter(|key| *key != self.key) else {
                    continue;
                };
                let stray = format!("{}.stray", key.file_name());
                fs::rename(entry.path(), self.directory.join(&stray))?;
                tracing::warn!(
                    file = stray,
                    "set a key aside that the state does not name; remove it if no other CA needs it"
                );
            }
            Ok(())
        };
        rename().map_err(|source| StoreError::Directory { directory: self.directory.clone(), source })
    }

    fn export_bundle(&self) -> Result<(), StoreError> {
        let (path, pem) = (root_certificate_path(&self.directory), self.bundle.to_pem());
        if fs::read(&path).is_ok_and(|exported| exported == pem.as_bytes()) {
            return Ok(());
        }
        Ok(files::write_atomically(&path, pem.as_bytes(), 0o644)?)
    }
}

/// Everything that would keep a start at `now` from using `directory` for `trust_domain`. Reads, changes
/// nothing, and does not ask whether another process has it open: [`holder`] does.
pub fn judge(directory: &Path, trust_domain: &TrustDomain, now: SystemTime) -> Vec<StoreError> {
    Judged::of(directory, trust_domain, now).faults
}

/// Makes a root: the key first, then the state that names it.
fn first_root(settings: &StoreSettings, now: SystemTime) -> Result<Stored, StoreError> {
    let StoreSettings { directory, trust_domain, root_lifetime } = settings;
    let key = PrivateKey::generate().map_err(StoreError::NewKey)?;
    let certificate = CaCertificate::self_signed(&key, trust_domain, now, *root_lifetime)
        .map_err(StoreError::NewCertificate)?;
    let key_ref = KeyRef::of(key.public_key());
    files::write_atomically(&directory.join(key_ref.file_name()), key.to_pkcs8_pem().as_bytes(), 0o600)?;
    let state = State {
        epoch: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        sequence: 1,
        trust_domain: trust_domain.as_str().to_owned(),
        active: Active { certificate: certificate.to_pem(), key: key_ref },
    };
    state.write(directory)?;
    tracing::info!(directory = %directory.display(), authority = certificate.key_id(), "made a new root");
    Stored::of(directory, trust_domain, state)
}

fn root_certificate_path(directory: &Path) -> PathBuf {
    directory.join("root-cert.pem")
}
