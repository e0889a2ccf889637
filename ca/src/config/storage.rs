//! `[state]` and `[audit]`: what the CA keeps.

use std::path::PathBuf;

use signet_runtime::{
    config::Section,
    files::{self, FileError},
};

use crate::{
    audit::{self, AuditOpenError},
    store,
};

/// Where the authority is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateConfig {
    /// `directory`: made with mode 0700 if it is absent. Default `/var/lib/signet-ca`.
    pub directory: PathBuf,
}

/// The audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// `path`: JSON lines. Default `audit.jsonl` in the state directory.
    pub path: PathBuf,
    /// `fsync`: whether a record must be on the disk, not only with the operating system, before the CA goes
    /// on. Default `false`: a crash of the process loses nothing, a crash of the machine the last moments.
    pub fsync: bool,
}

impl StateConfig {
    pub(super) fn read(section: &Section<'_>) -> Self {
        Self { directory: section.optional("directory", PathBuf::from("/var/lib/signet-ca")) }
    }
}

impl AuditConfig {
    pub(super) fn read(section: &Section<'_>, state: &StateConfig) -> Self {
        Self {
            path: section.optional("path", state.directory.join("audit.jsonl")),
            fsync: section.optional("fsync", false),
        }
    }

    /// The log must be writable, or its directory: unless that is the state directory, which a start makes.
    pub(super) fn judge(&self, state: &StateConfig) -> Result<(), FileError> {
        match self.path.parent() {
            Some(parent) if parent == state.directory && !parent.exists() => Ok(()),
            _ => files::judge_log_file(&self.path),
        }
    }

    /// Nobody else may write the log. It is not asked while the CA of `state` runs, which does: that a second
    /// one is refused for its state says more.
    pub(super) fn judge_lock(&self, state: &StateConfig) -> Result<(), AuditOpenError> {
        match store::holder(&state.directory) {
            Some(_running) => Ok(()),
            None => audit::judge_lock(&self.path),
        }
    }
}
