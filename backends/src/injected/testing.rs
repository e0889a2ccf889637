//! Authorities made by hand, and directories with their files.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::CertificateDer;
use signet_identity::certificate_pem;

pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// The time at which tests happen.
pub(super) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A CA certificate with its key.
#[derive(Clone)]
pub(crate) struct Ca {
    params: CertificateParams,
    pub(super) key: String,
    pub(crate) der: CertificateDer<'static>,
}

impl Ca {
    pub(crate) fn root(name: &str) -> Self {
        Self::root_with(name, |_| {})
    }

    pub(super) fn root_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::root_of(name, KeyPair::generate().unwrap(), change)
    }

    pub(super) fn root_of(name: &str, key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let params = changed(name, change);
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key: key.serialize_pem(), der }
    }

    pub(crate) fn below(&self, name: &str) -> Self {
        self.below_with(name, |_| {})
    }

    pub(super) fn below_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        self.below_of(name, KeyPair::generate().unwrap(), change)
    }

    pub(crate) fn below_of(
        &self,
        name: &str,
        key: KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let params = changed(name, change);
        let issuer = Issuer::from_params(&self.params, self.pair());
        let der = params.signed_by(&key, &issuer).unwrap().der().clone();
        Self { params, key: key.serialize_pem(), der }
    }

    pub(crate) fn pair(&self) -> KeyPair {
        KeyPair::from_pem(&self.key).unwrap()
    }

    pub(super) fn pem(&self) -> String {
        certificate_pem(&self.der)
    }
}

fn changed(name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = ((now() - DAY).into(), (now() + 365 * DAY).into());
    change(&mut params);
    params
}

/// What the files are made of, for a test to change: a signer two certificates below its root.
pub(super) struct Pki {
    pub(super) root: Ca,
    pub(super) between: Ca,
    pub(super) signer: Ca,
}

impl Pki {
    pub(super) fn new() -> Self {
        let root = Ca::root("root");
        let between = root.below("between");
        let signer = between.below("signer");
        Self { root, between, signer }
    }

    /// As Istio's documentation has them made.
    pub(super) fn cacerts(&self) -> Files {
        Files::from([
            ("ca-cert.pem", self.signer.pem()),
            ("ca-key.pem", self.signer.key.clone()),
            ("cert-chain.pem", self.signer.pem() + &self.between.pem() + &self.root.pem()),
            ("root-cert.pem", self.root.pem()),
        ])
    }

    /// As cert-manager writes them.
    pub(super) fn tls(&self) -> Files {
        Files::from([
            ("tls.crt", self.signer.pem() + &self.between.pem()),
            ("tls.key", self.signer.key.clone()),
            ("ca.crt", self.root.pem()),
        ])
    }
}

/// Files by name.
pub(super) type Files = BTreeMap<&'static str, String>;

pub(super) fn write(directory: &Path, files: &Files) {
    for (name, content) in files {
        let path = directory.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    }
}
