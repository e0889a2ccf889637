//! Real programs on one machine, set up to be watched: the demo and the tests play on it.
//!
//! A [`Stage`] is a private directory and the processes that run in it. Both are gone when it is dropped, and also
//! when this program is killed; see `guard`.

mod application;
mod ca;
mod daemon;
pub mod envoy;
mod guard;
pub mod http;
mod key_sets;
mod kubernetes;
pub mod leaks;
mod load;
mod mesh;
mod node_agent;
pub mod openbao;
pub mod poll;
mod ports;
mod process;
mod programs;
mod rest;
mod rotations;
mod secret;
mod tls_authority;
mod token_volume;
mod workload;

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

pub use application::Application;
pub use ca::{Ca, CaSettings, SignedBy};
pub use daemon::{Daemon, trust_domain};
use guard::Guard;
pub use key_sets::{KeySet, OfflineRoot, SecretVolume};
pub use kubernetes::{Kubernetes, KubernetesPrograms, ServiceAccount};
use leaks::Secrets;
pub use load::{Failure, Load, Tally};
pub use mesh::{Doors, Footing, Mesh, Plan, TokenPath, Workloads};
pub use node_agent::{CertificateSource, NodeAgent, NodeAgentSettings};
pub use openbao::OpenBao;
use ports::Ports;
pub use process::{Process, Program};
pub use programs::Programs;
pub use rotations::Rotations;
pub use token_volume::TokenVolume;
pub use workload::{TokenIssuer, Workload};

/// A private directory and the processes that run in it.
#[derive(Debug)]
pub struct Stage {
    directory: PathBuf,
    ports: Ports,
    secrets: Arc<Secrets>,
    guard: Arc<Guard>,
}

impl Stage {
    /// Makes the directory (mode 0700, in the system's directory for temporary files) and posts the guard over it.
    pub fn set() -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("signet-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .context("cannot make a directory for temporary files")?;
        let guard = Guard::post(directory.path()).context("cannot start /bin/sh")?;
        Ok(Self {
            directory: directory.keep(),
            ports: Ports::new(),
            secrets: Arc::default(),
            guard: Arc::new(guard),
        })
    }

    /// The directory: configurations, sockets, tokens and logs.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes a file into the directory and returns its path.
    pub fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// The same for a secret: mode 0600.
    pub fn write_private(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(content.as_bytes()));
        written.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// What no process may write down.
    pub fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }

    /// A TCP port on 127.0.0.1 that nobody uses, handed out once.
    pub fn free_port(&self) -> Result<u16> {
        self.ports.free()
    }

    /// Starts a program in the directory. Its output is appended to `<name>.log` there.
    pub fn start(&self, program: &Program) -> Result<Process> {
        Process::start(program, &self.directory, Arc::clone(&self.guard))
    }
}

/// Whatever was written down is searched for secrets; [`leaks::found`] tells.
impl Drop for Stage {
    fn drop(&mut self) {
        self.secrets.search(&self.directory);
    }
}
