//! Where an identity goes that is to be kept.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use signet_client::Issued;

use super::ask::Ask;
use super::checks::pem;
use crate::files;
use crate::output::Console;

/// Files to write.
#[derive(Debug, Args)]
pub(super) struct FileFlags {
    /// Write the certificate and its intermediates there, as PEM
    #[arg(long, value_name = "FILE")]
    cert_file: Option<PathBuf>,
    /// Write the private key there, as PKCS#8 PEM that only you can read (mode 0600)
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Write the roots that came with the certificate there, as PEM
    #[arg(long, value_name = "FILE")]
    bundle_file: Option<PathBuf>,
    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
}

impl FileFlags {
    /// Before anything is asked for: a certificate that nobody can keep is issued for nothing.
    pub(super) fn refuse_to_overwrite(&self) -> Result<()> {
        files::refuse_to_overwrite(self.wanted(), self.force)
    }

    /// Is anything to be written?
    pub(super) fn are_wanted(&self) -> bool {
        self.wanted().next().is_some()
    }

    /// Writes them: each whole or not at all.
    pub(super) fn write(&self, ask: &Ask, issued: &Issued, console: &mut Console<'_>) -> Result<()> {
        // The key first: a certificate without it is of no use.
        match (&self.key_file, &ask.key) {
            (Some(file), Some(key)) => files::write(file, key.to_pkcs8_pem().as_bytes(), 0o600, console)?,
            _ if ask.is_key_new => {
                console.note("the key was made for this one request and is thrown away; keep the next one with --key-file")?;
            }
            _ => {}
        }
        if let Some(file) = &self.cert_file {
            files::write(file, pem(&issued.chain).as_bytes(), 0o644, console)?;
        }
        if let Some(file) = &self.bundle_file {
            files::write(file, issued.bundle.to_pem().as_bytes(), 0o644, console)?;
        }
        Ok(())
    }

    fn wanted(&self) -> impl Iterator<Item = &Path> {
        [&self.cert_file, &self.key_file, &self.bundle_file].into_iter().flatten().map(PathBuf::as_path)
    }
}
