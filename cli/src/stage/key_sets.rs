//! An operator's authorities, and the volume through which a CA gets their keys.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose,
};
use signet_identity::CaCertificate;

use super::{Stage, leaks::Secrets};

/// A root that the operator keeps away from the mesh.
#[derive(Debug)]
pub struct OfflineRoot {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// The files of a signing key under an offline root, in the layout of Istio's `cacerts`.
#[derive(Debug, Clone)]
pub struct KeySet {
    /// Content by file name.
    pub files: BTreeMap<&'static str, String>,
    /// What the CA calls the authority: its subject key identifier, in hex.
    pub key_id: String,
}

/// A directory as Kubernetes mounts a Secret: each file is a link through `..data`, which is swapped as a whole.
#[derive(Debug)]
pub struct SecretVolume {
    directory: PathBuf,
    versions: usize,
    secrets: Arc<Secrets>,
}

impl OfflineRoot {
    /// Makes one.
    pub fn new(name: &str) -> Result<Self> {
        let params = params(name, IsCa::Ca(BasicConstraints::Unconstrained));
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// A new signing key under it.
    pub fn key_set(&self, name: &str) -> Result<KeySet> {
        self.key_set_with(name, |_| {})
    }

    /// The same with a certificate that is changed.
    pub fn key_set_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Result<KeySet> {
        let key = KeyPair::generate()?;
        let mut params = params(name, IsCa::Ca(BasicConstraints::Constrained(0)));
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key_id =
            CaCertificate::from_der(certificate.der().clone()).map(|one| one.key_id()).unwrap_or_default();
        let files = BTreeMap::from([
            ("ca-cert.pem", certificate.pem()),
            ("ca-key.pem", key.serialize_pem()),
            ("cert-chain.pem", certificate.pem()),
            ("root-cert.pem", self.pem()),
        ]);
        Ok(KeySet { files, key_id })
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }
}

impl SecretVolume {
    /// Mounts `set`.
    pub fn mount(stage: &Stage, name: &str, set: &KeySet) -> Result<Self> {
        let directory = stage.directory().join(name);
        fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        for file in ["ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem"] {
            symlink(Path::new("..data").join(file), directory.join(file))?;
        }
        let mut volume = Self { directory, versions: 0, secrets: Arc::clone(stage.secrets()) };
        volume.swap(&set.files)?;
        Ok(volume)
    }

    /// Where it is mounted.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Puts these files in the place of the last ones, all at once.
    pub fn swap(&mut self, files: &BTreeMap<&'static str, String>) -> Result<()> {
        self.versions += 1;
        let version = self.directory.join(format!("..{}", self.versions));
        fs::create_dir(&version)?;
        for (name, content) in files {
            // The file is gone when the logs are searched.
            self.secrets.add_key(content);
            fs::write(version.join(name), content)?;
        }
        symlink(version.file_name().context("a version without a name")?, self.directory.join("..data_tmp"))?;
        fs::rename(self.directory.join("..data_tmp"), self.directory.join("..data"))?;
        let last = self.directory.join(format!("..{}", self.versions - 1));
        if last.exists() { fs::remove_dir_all(last).map_err(Into::into) } else { Ok(()) }
    }
}

fn params(name: &str, is_ca: IsCa) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = is_ca;
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
