//! `[state]` and `[audit]`: what the CA keeps.

use std::path::PathBuf;

use signet_runtime::{config::Section, files};

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

    /// A directory that is there must be private; one that is absent will be made.
    pub(super) fn check_files(&self) -> Option<String> {
        if !self.directory.exists() {
            return None;
        }
        let fault = files::refuse_if_shared(&self.directory).err()?;
        Some(format!("state.directory: {fault}"))
    }
}

impl AuditConfig {
    /// The directory of the log must be there, unless it is the state directory, which is made.
    pub(super) fn check_files(&self, state: &StateConfig) -> Option<String> {
        let directory = self.path.parent().filter(|directory| **directory != state.directory)?;
        let is_there = directory.as_os_str().is_empty() || directory.is_dir();
        (!is_there)
            .then(|| format!("audit.path: {} is no directory (want one that exists)", directory.display()))
    }

    pub(super) fn read(section: &Section<'_>, state: &StateConfig) -> Self {
        Self {
            path: section.optional("path", state.directory.join("audit.jsonl")),
            fsync: section.optional("fsync", false),
        }
    }
}
