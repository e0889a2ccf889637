//! A serving certificate that an operator keeps fresh: two files, read again when they change.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use signet_runtime::{
    files::{self, FileError},
    telemetry::chain,
    tls::{ServingCertificate, TlsError},
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

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
    /// They do not belong together.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Shows what the files hold.
pub struct FileServing {
    files: ServingFiles,
    shown: Content,
    certificate: Arc<ServingCertificate>,
}

#[derive(PartialEq)]
struct Content {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl ServingFiles {
    /// What is wrong with them, if anything is.
    ///
    /// # Errors
    /// See [`ServingFileError`].
    pub fn judge(&self) -> Result<(), ServingFileError> {
        FileServing::start(self.clone()).map(drop)
    }

    fn read(&self) -> Result<Content, ServingFileError> {
        let unreadable = |source| ServingFileError::Unreadable { path: self.certificate.clone(), source };
        let key = files::read_mounted(&self.key)?.content;
        Ok(Content { certificate: fs::read(&self.certificate).map_err(unreadable)?, key })
    }
}

impl FileServing {
    /// Reads the pair for the first time.
    ///
    /// # Errors
    /// See [`ServingFileError`].
    pub fn start(files: ServingFiles) -> Result<Self, ServingFileError> {
        let shown = files.read()?;
        let (chain, key) = pair(&files, &shown)?;
        let certificate = Arc::new(ServingCertificate::new(chain, key)?);
        Ok(Self { files, shown, certificate })
    }

    /// What handshakes are to show.
    pub fn certificate(&self) -> Arc<ServingCertificate> {
        Arc::clone(&self.certificate)
    }

    /// Looks until `stop`. A pair that cannot be shown changes nothing, and is told of once.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = String::new();
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            match self.look() {
                Ok(()) => told.clear(),
                Err(error) => {
                    let trouble = chain(&error).to_string();
                    if trouble != told {
                        tracing::error!(
                            trouble,
                            "the serving certificate is not replaced; the last one is shown"
                        );
                        told = trouble;
                    }
                }
            }
        }
    }

    fn look(&mut self) -> Result<(), ServingFileError> {
        let found = self.files.read()?;
        if found == self.shown {
            return Ok(());
        }
        let (chain, key) = pair(&self.files, &found)?;
        self.certificate.replace(chain, key)?;
        self.shown = found;
        tracing::info!("serving by the new certificate of the files");
        Ok(())
    }
}

fn pair(
    files: &ServingFiles,
    content: &Content,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), ServingFileError> {
    let no = |path: &Path, want| ServingFileError::Content { path: path.to_owned(), want };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content.certificate).collect();
    let chain =
        chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| no(&files.certificate, "certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(&content.key).map_err(|_| no(&files.key, "private key"))?;
    Ok((chain, key))
}

const LOOK_EVERY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use signet_identity::{CaCertificate, PrivateKey};
    use tempfile::TempDir;

    use super::*;

    struct Scene(TempDir);

    impl Scene {
        fn new() -> Self {
            let scene = Self(tempfile::tempdir().unwrap());
            scene.write(&PrivateKey::generate().unwrap(), &PrivateKey::generate().unwrap());
            scene
        }

        fn files(&self) -> ServingFiles {
            ServingFiles { certificate: self.0.path().join("tls.crt"), key: self.0.path().join("tls.key") }
        }

        /// A certificate for `certified`, beside `key`.
        fn write(&self, certified: &PrivateKey, key: &PrivateKey) {
            let now = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            let day = Duration::from_secs(86_400);
            let trust_domain = "cluster.local".parse().unwrap();
            let certificate = CaCertificate::self_signed(certified, &trust_domain, now, day).unwrap();
            fs::write(self.files().certificate, certificate.to_pem()).unwrap();
            files::write_atomically(&self.files().key, key.to_pkcs8_pem().as_bytes(), 0o600).unwrap();
        }
    }

    #[test]
    fn a_key_is_taken_as_kubernetes_mounts_it_and_refused_if_everybody_may_write_it() {
        let (scene, key) = (Scene::new(), PrivateKey::generate().unwrap());
        scene.write(&key, &key);
        for mode in [0o600, 0o440, 0o644] {
            fs::set_permissions(scene.files().key, Permissions::from_mode(mode)).unwrap();
            scene.files().judge().unwrap();
        }
        fs::set_permissions(scene.files().key, Permissions::from_mode(0o646)).unwrap();

        let refused = scene.files().judge().unwrap_err();

        assert!(matches!(refused, ServingFileError::Key(_)), "{refused}");
    }

    #[test]
    fn what_cannot_be_shown_is_refused_and_what_is_shown_stays() {
        let scene = Scene::new();
        assert!(scene.files().judge().unwrap_err().to_string().contains("does not fit"), "another key");
        let key = PrivateKey::generate().unwrap();
        scene.write(&key, &key);
        let mut serving = FileServing::start(scene.files()).unwrap();

        for (case, content) in [("half", "-----BEGIN CERTIFICATE-----\nAAAA"), ("empty", "")] {
            fs::write(scene.files().certificate, content).unwrap();
            assert!(serving.look().unwrap_err().to_string().contains("no certificate in PEM"), "{case}");
        }
        fs::remove_file(scene.files().certificate).unwrap();
        assert!(serving.look().unwrap_err().to_string().contains("cannot read"));

        let (other, shown) = (PrivateKey::generate().unwrap(), format!("{:?}", serving.certificate));
        scene.write(&other, &other);
        serving.look().unwrap();
        assert_ne!(format!("{:?}", serving.certificate), shown);
        assert!(serving.shown == scene.files().read().unwrap());
    }
}
