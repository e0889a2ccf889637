//! TLS certificates that have nothing to do with the mesh: of a server beside it, and of whoever shows it one.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::CertificateDer;

use super::Stage;

/// An authority with a key of its own, which is nowhere but in memory.
#[derive(Debug)]
pub(super) struct TlsAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

/// A certificate and its key, in PEM. The key's file is private to this user.
#[derive(Debug, Clone)]
pub(super) struct TlsPair {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl TlsAuthority {
    /// Makes one. Its certificate stands in `<name>-ca.pem`.
    pub(super) fn new(stage: &Stage, name: &str) -> Result<Self> {
        let mut params = named(name)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let file = stage.write(&format!("{name}-ca.pem"), &issuer.pem())?;
        Ok(Self { issuer, file })
    }

    /// The file with its certificate.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Its certificate.
    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        self.issuer.der()
    }

    /// A certificate of this common name for 127.0.0.1, in `<name>.pem` and `<name>.key`.
    pub(super) fn issue(&self, stage: &Stage, name: &str) -> Result<TlsPair> {
        let mut params = named(name)?;
        params.subject_alt_names =
            CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?.subject_alt_names;
        let key = KeyPair::generate()?;
        Ok(TlsPair {
            certificate: stage.write(&format!("{name}.pem"), &params.signed_by(&key, &self.issuer)?.pem())?,
            key: stage.write_private(&format!("{name}.key"), &key.serialize_pem())?,
        })
    }
}

fn named(name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new([])?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}
