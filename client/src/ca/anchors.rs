//! The file of certificates that the CA's own is checked against. It may appear late, and change.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::regular_file::open_regular;

/// The anchors as they stood in the file at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Anchors {
    pem: Vec<u8>,
    roots: Arc<RootCertStore>,
}

impl Anchors {
    /// Reads one or more certificates. What is not a certificate is skipped, as in any PEM bundle; a
    /// certificate that is none fails the whole file.
    pub(crate) fn read(path: &Path) -> Result<Self, AnchorsError> {
        Self::parse(path, read_bounded(path)?)
    }

    /// Whether the file now holds other bytes, and they are anchors too. Parses nothing while it holds the same.
    pub(crate) fn have_changed(&self, path: &Path) -> Result<bool, AnchorsError> {
        let pem = read_bounded(path)?;
        if pem == self.pem {
            return Ok(false);
        }
        Self::parse(path, pem).map(|_| true)
    }

    fn parse(path: &Path, pem: Vec<u8>) -> Result<Self, AnchorsError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let malformed = || AnchorsError::Malformed { path: path.to_owned() };
            roots.add(certificate.map_err(|_| malformed())?).map_err(|_| malformed())?;
        }
        if roots.is_empty() {
            return Err(AnchorsError::Empty { path: path.to_owned() });
        }
        Ok(Self { pem, roots: Arc::new(roots) })
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.roots)
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, AnchorsError> {
    let unreadable = |source| AnchorsError::Unreadable { path: path.to_owned(), source };
    let mut pem = Vec::new();
    let file = open_regular(path).map_err(unreadable)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut pem).map_err(unreadable)?;
    if pem.len() as u64 > MAX_BYTES {
        return Err(AnchorsError::TooLong { path: path.to_owned() });
    }
    Ok(pem)
}

/// Why there is nothing to check the CA against.
#[derive(Debug, thiserror::Error)]
pub enum AnchorsError {
    /// Missing, or not ours to read.
    #[error(
        "cannot read the CA's trust anchors {}; put the CA's root certificate there (root-cert.pem of its state \
         directory, or the ConfigMap that holds it)", path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing in it.
    #[error("the trust anchors {} hold no certificate; put the CA's root certificate there, as PEM", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// One is no certificate.
    #[error("the trust anchors {} hold a broken certificate; copy the file again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// No file of roots.
    #[error("the trust anchors {} are longer than {MAX_BYTES} bytes; keep the CA's own roots only", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

/// Large enough for the roots of every public authority together.
const MAX_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_without_usable_certificates_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root-cert.pem");
        for (name, content) in [
            ("empty", Vec::new()),
            ("not PEM", b"hello".to_vec()),
            ("not base64", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".to_vec()),
            ("not DER", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec()),
            ("half a block", b"-----BEGIN CERTIFICATE-----\nAAAA\n".to_vec()),
            ("a byte too long", vec![b'\n'; MAX_BYTES as usize + 1]),
        ] {
            fs::write(&path, content).unwrap();
            let error = Anchors::read(&path).unwrap_err().to_string();
            assert!(error.contains("root-cert.pem"), "{name}: {error}");
        }
    }
}
