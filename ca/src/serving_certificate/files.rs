//! A serving certificate that an operator keeps fresh: two files, read again when they change.
//!
//! From 30 % of its life that is left it is told that it ends, as nothing here could renew it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use humantime::format_rfc3339_seconds;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use signet_identity::{Clock, Validity};
use signet_runtime::{
    files::{self, FileError},
    telemetry::chain,
    tls::{ServingCertificate, TlsError},
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    leaf::{self, LeafFault},
    tell_expiry,
};
use crate::health::expiry::{Alarm, ExpiryAlarm};

/// Where the pair is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServingFiles {
    /// PEM: the leaf, then its intermediates.
    pub certificate: PathBuf,
    /// PEM, as Kubernetes mounts it.
    pub key: PathBuf,
}

/// Why the pair cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ServingFileError {
    /// The key is missing, or everybody may write it.
    #[error(transparent)]
    Key(#[from] FileError),
    /// The certificate cannot be read.
    #[error("cannot read {}: it must exist and be readable for the user of this process", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{} holds no {want} in PEM", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        want: &'static str,
    },
    /// No client would take it.
    #[error("clients refuse the certificate of {}", path.display())]
    Leaf {
        /// The file.
        path: PathBuf,
        /// Why they do.
        source: LeafFault,
    },
    /// They do not belong together.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Shows what the files hold.
pub struct FileServing {
    files: ServingFiles,
    dns_names: Vec<String>,
    clock: Arc<dyn Clock>,
    shown: Content,
    validity: Validity,
    certificate: Arc<ServingCertificate>,
    expiry: ExpiryAlarm,
}

#[derive(PartialEq)]
struct Content {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    key_is_readable_by_all: bool,
}

/// What the files mean.
struct Pair {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    validity: Validity,
}

impl ServingFiles {
    /// What is wrong with them at `now`, if anything is, for clients that dial one of `dns_names`.
    ///
    /// # Errors
    /// See [`ServingFileError`].
    pub fn judge(&self, dns_names: &[String], now: SystemTime) -> Result<(), ServingFileError> {
        let Pair { chain, key, .. } = self.pair(&self.read()?, dns_names, now)?;
        ServingCertificate::new(chain, key)?;
        Ok(())
    }

    fn read(&self) -> Result<Content, ServingFileError> {
        let unreadable = |source| ServingFileError::Unreadable { path: self.certificate.clone(), source };
        let files::Mounted { content: key, readable_by_all } = files::read_mounted(&self.key)?;
        let certificate = fs::read(&self.certificate).map_err(unreadable)?;
        Ok(Content { certificate, key, key_is_readable_by_all: readable_by_all })
    }

    fn pair(
        &self,
        content: &Content,
        dns_names: &[String],
        now: SystemTime,
    ) -> Result<Pair, ServingFileError> {
        let no = |path: &Path, want| ServingFileError::Content { path: path.to_owned(), want };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&content.certificate)
            .collect::<Result<_, _>>()
            .map_err(|_| no(&self.certificate, "certificate"))?;
        let leaf = chain.first().ok_or_else(|| no(&self.certificate, "certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(&content.key).map_err(|_| no(&self.key, "private key"))?;
        let refused = |source| ServingFileError::Leaf { path: self.certificate.clone(), source };
        let validity = leaf::judge(leaf, dns_names, now).map_err(refused)?;
        Ok(Pair { chain, key, validity })
    }
}

impl FileServing {
    /// Reads the pair for the first time, for clients that dial one of `dns_names`.
    ///
    /// # Errors
    /// See [`ServingFileError`].
    pub fn start(
        files: ServingFiles,
        dns_names: Vec<String>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServingFileError> {
        let shown = files.read()?;
        let Pair { chain, key, validity } = files.pair(&shown, &dns_names, clock.now())?;
        let certificate = Arc::new(ServingCertificate::new(chain, key)?);
        let expiry = ExpiryAlarm::default();
        let serving = Self { files, dns_names, clock, shown, validity, certificate, expiry };
        serving.tell();
        Ok(serving)
    }

    /// What handshakes are to show.
    pub fn certificate(&self) -> Arc<ServingCertificate> {
        Arc::clone(&self.certificate)
    }

    /// Looks until `stop`. A pair that cannot be shown changes nothing, and is told of once.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut told) = (String::new(), String::new());
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            let trouble = self.look().err().map(|error| chain(&error).to_string()).unwrap_or_default();
            // Two files are not written at once: what is wrong at one look only is not told.
            if trouble.is_empty() {
                told.clear();
            } else if trouble == seen && trouble != told {
                tracing::error!(trouble, "the serving certificate is not replaced; the last one is shown");
                told.clone_from(&trouble);
            }
            seen = trouble;
            self.tell_of_the_end();
        }
    }

    fn look(&mut self) -> Result<(), ServingFileError> {
        let found = self.files.read()?;
        if found == self.shown {
            return Ok(());
        }
        let Pair { chain, key, validity } = self.files.pair(&found, &self.dns_names, self.clock.now())?;
        self.certificate.replace(chain, key)?;
        (self.shown, self.validity) = (found, validity);
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        tell_expiry(self.validity);
        let expires_at = format_rfc3339_seconds(self.validity.not_after());
        tracing::info!(%expires_at, "serving by the certificate of the files");
        if self.shown.key_is_readable_by_all {
            let file = self.files.key.display();
            tracing::warn!(%file, "everybody who sees this file may read the serving key in it");
        }
    }

    fn tell_of_the_end(&mut self) {
        let (validity, file) = (self.validity, self.files.certificate.display());
        let expires_at = format_rfc3339_seconds(validity.not_after());
        match self.expiry.look(validity, self.clock.now()) {
            Some(Alarm::Expiring) => {
                tracing::warn!(%file, %expires_at, "the serving certificate ends soon; replace its files");
            }
            Some(Alarm::Expired) => tracing::error!(
                %file, %expires_at,
                "the serving certificate has ended, and clients refuse it; replace its files"
            ),
            None => {}
        }
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
