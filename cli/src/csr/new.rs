//! `signet csr new`.

use std::fmt::{self, Display};
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use der::pem::{LineEnding, encode_string};
use serde::Serialize;
use signet_identity::SpiffeId;

use super::broken::Break;
use super::draft::{Draft, signed};
use super::key::{Key, Kind};
use crate::files;
use crate::input::{Kind as Found, Source};
use crate::outcome::{Outcome, Usage};
use crate::output::Console;
use crate::task;

/// For whom, with which key, into which files.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// Who asks
    spiffe_id: SpiffeId,
    /// Kind of the key that is made
    #[arg(long, value_enum, value_name = "KIND", default_value_t, conflicts_with = "key")]
    key_algorithm: Kind,
    /// A private key that is there already, in PKCS#8 PEM [default: a new one]
    #[arg(long, value_name = "FILE", conflicts_with = "key_file")]
    key: Option<PathBuf>,
    /// Write the new private key there, as PKCS#8 PEM that only you can read (mode 0600)
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Write the CSR there, in PEM [default: to standard output]
    #[arg(long, value_name = "FILE")]
    csr_file: Option<PathBuf>,
    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
    /// Make it wrong on purpose, in this way
    #[arg(long = "break", value_enum, value_name = "WAY")]
    broken: Option<Break>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  signet csr new spiffe://cluster.local/ns/shop/sa/orders --key-file key.pem --csr-file csr.pem
  signet csr new spiffe://cluster.local/ns/shop/sa/orders --key key.pem
  signet csr new spiffe://cluster.local/ns/shop/sa/orders --break two-uris --csr-file wrong.pem
  signet csr new spiffe://cluster.local/ns/shop/sa/orders --break ca-true | openssl req -noout -text

Each way of --break says what a correct CA answers: signet request --csr wrong.pem asks one.";

/// What was made.
#[derive(Debug, Serialize)]
struct Made {
    spiffe_id: String,
    csr_pem: String,
    key_algorithm: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    csr_file: Option<PathBuf>,
    /// What a correct CA answers, of one that is wrong on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
}

impl New {
    /// Makes it, and writes what is to be kept: the key first.
    pub(crate) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        self.refuse_what_is_not_wrong()?;
        let kept = [&self.key_file, &self.csr_file];
        files::refuse_to_overwrite(kept.into_iter().flatten(), self.force)?;
        let key = self.key()?;
        let der = match self.broken {
            Some(broken) => broken.csr(self.spiffe_id.as_str(), &key)?,
            None => {
                let info = Draft::of(self.spiffe_id.as_str()).info(&key.spki()?)?;
                signed(&info, &key, &key.sign(&info)?)?
            }
        };
        let csr_pem = encode_string("CERTIFICATE REQUEST", LineEnding::LF, &der)
            .map_err(|fault| anyhow!("the CSR cannot be written as PEM: {fault}"))?;
        if let Some(file) = &self.key_file {
            files::write(file, key.to_pem()?.as_bytes(), 0o600, console)?;
        } else if self.key.is_none() {
            console.note("the key of this CSR is kept nowhere; keep the next one with --key-file")?;
        }
        if let Some(file) = &self.csr_file {
            files::write(file, csr_pem.as_bytes(), 0o644, console)?;
        }
        let expected = self.broken.map(Break::expected);
        if let Some(expected) = &expected {
            console.note(format_args!("wrong on purpose. {expected}"))?;
        }
        console.answer(&Made {
            spiffe_id: self.spiffe_id.to_string(),
            csr_pem,
            key_algorithm: key.algorithm().to_string(),
            key_file: self.key_file,
            csr_file: self.csr_file,
            expected,
        })?;
        Ok(Outcome::Held)
    }

    fn key(&self) -> Result<Key> {
        let Some(file) = &self.key else {
            return self
                .broken
                .map_or_else(|| Key::new(self.key_algorithm), |broken| broken.key(self.key_algorithm));
        };
        let source = Source::File(file.clone());
        let keys = task::block_on(|_| async move { source.only(Found::PrivateKey).await })?;
        let der = keys.into_iter().next().map(|key| key.der).context("there is no private key")?;
        let pem = encode_string("PRIVATE KEY", LineEnding::LF, &der).map_err(|fault| anyhow!("{fault}"))?;
        Key::from_pem(&pem).with_context(|| format!("--key {} cannot be used", file.display()))
    }

    /// A CSR that is called wrong must be.
    fn refuse_what_is_not_wrong(&self) -> Result<()> {
        let Some(broken) = self.broken else { return Ok(()) };
        if broken == Break::WeakKey && self.key.is_some() {
            let text =
                "--break weak-key makes a key of its own: leave --key out, and keep it with --key-file";
            return Err(Usage(text.to_owned()).into());
        }
        if broken.is_in_vain(self.spiffe_id.as_str()) {
            return Err(Usage(format!("there is nothing in {} to break in that way", self.spiffe_id)).into());
        }
        Ok(())
    }
}

/// The CSR alone, where it is not in a file.
impl Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.csr_file.is_some() { Ok(()) } else { f.write_str(&self.csr_pem) }
    }
}
