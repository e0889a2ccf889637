//! Where the real programs are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// A directory with our programs in it, and the Envoy to run.
#[derive(Debug, Clone)]
pub struct Programs {
    directory: PathBuf,
    envoy: PathBuf,
}

impl Programs {
    /// Our programs from `directory`.
    pub fn in_directory(directory: impl Into<PathBuf>, envoy: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), envoy: envoy.into() }
    }

    /// Our programs from where this one stands: they are built and installed together.
    pub fn beside_this_one(envoy: impl Into<PathBuf>) -> Result<Self> {
        let executable = std::env::current_exe().context("cannot tell where this program stands")?;
        let directory = executable.parent().context("this program stands in no directory")?;
        Ok(Self::in_directory(directory, envoy))
    }

    /// The certificate authority.
    pub fn ca(&self) -> Result<PathBuf> {
        self.ours("signet-ca")
    }

    /// The node agent.
    pub fn node_agent(&self) -> Result<PathBuf> {
        self.ours("signet-node-agent")
    }

    /// The command line.
    pub fn signet(&self) -> Result<PathBuf> {
        self.ours("signet")
    }

    /// Envoy.
    pub fn envoy(&self) -> &Path {
        &self.envoy
    }

    fn ours(&self, name: &str) -> Result<PathBuf> {
        let program = self.directory.join(name);
        ensure!(
            program.is_file(),
            "there is no {name} in {}: build it with `cargo build -p {name}`",
            self.directory.display()
        );
        Ok(program)
    }
}
