//! `state.json`, as it is written.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use signet_identity::PublicKey;
use signet_runtime::files::{self, FileError};

use super::{Corruption, StoreError};

/// All that must survive a restart, but for the keys themselves.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// When this state was made, in seconds since 1970: a directory that is made anew counts as newer.
    pub(super) epoch: u64,
    /// Grows with each change of the bundle.
    pub(super) sequence: u64,
    pub(super) trust_domain: String,
    pub(super) active: Active,
}

/// The authority that signs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Active {
    /// PEM.
    pub(super) certificate: String,
    pub(super) key: KeyRef,
}

/// Where a key is: here, the name of a file in the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRef {
    file: String,
}

impl State {
    /// `None` when there is no state yet.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, StoreError> {
        let path = path(directory);
        let json = match files::read_private(&path) {
            Err(FileError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            read => read?,
        };
        let state: Self = serde_json::from_slice(&json)
            .map_err(|error| StoreError::Corrupt { path: path.clone(), source: error.into() })?;
        match KeyRef::named(OsStr::new(state.active.key.file_name())) {
            Some(_) => Ok(Some(state)),
            None => Err(StoreError::Corrupt { path, source: Corruption::KeyName(state.active.key.file) }),
        }
    }

    /// Replaces the state as a whole: the point of commit.
    pub(super) fn write(&self, directory: &Path) -> Result<(), StoreError> {
        let path = path(directory);
        let json = serde_json::to_vec_pretty(self)
            .map_err(|error| StoreError::Corrupt { path: path.clone(), source: error.into() })?;
        Ok(files::write_atomically(&path, &json, 0o600)?)
    }
}

impl KeyRef {
    /// The name that a key's file has: half of its fingerprint tells all keys apart.
    pub(super) fn of(key: &PublicKey) -> Self {
        let fingerprint: String = key.fingerprint().to_string().chars().take(FINGERPRINT_DIGITS).collect();
        Self { file: format!("{PREFIX}{fingerprint}{SUFFIX}") }
    }

    /// The reference to a file with this name, if it is the name of a key: never a path out of the directory.
    pub(super) fn named(file: &OsStr) -> Option<Self> {
        let file = file.to_str()?;
        let fingerprint = file.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let is_ours = fingerprint.len() == FINGERPRINT_DIGITS
            && fingerprint.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_ours.then(|| Self { file: file.to_owned() })
    }

    pub(super) fn file_name(&self) -> &str {
        &self.file
    }
}

/// Of the state in `directory`.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join("state.json")
}

const FINGERPRINT_DIGITS: usize = 32;
const PREFIX: &str = "key-";
const SUFFIX: &str = ".pem";
