//! `state.json`, as it is written.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use signet_identity::{BundleVersion, CaCertificate, PublicKey, TrustDomain, certificate_pem};
use signet_runtime::files::{self, FileError};

use super::{Corruption, StoreError};
use crate::trust::{KnownAuthority, Leaves, Origin, Published, Trust};

/// All that must survive a restart, but for the keys themselves.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// When this state was made, in seconds since 1970: a directory that is made anew counts as newer.
    epoch: u64,
    /// Grows with each change of the bundle.
    sequence: u64,
    trust_domain: String,
    active: StoredAuthority,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<StoredAuthority>,
    /// Absent in the states of the first release: its one root.
    #[serde(default)]
    published: Vec<StoredRoot>,
    #[serde(default)]
    leaves: StoredLeaves,
}

/// How long leaves live, in seconds, and until when some do that were to live longer.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredLeaves {
    longest: u64,
    longer_until: u64,
}

/// An authority. Certificates are PEM.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredAuthority {
    #[serde(default)]
    origin: Origin,
    certificate: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    intermediates: String,
    /// Absent if the certificate is the root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    roots: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<KeyRef>,
}

/// A root of the bundle. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRoot {
    certificate: String,
    since: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

/// Where a key is: here, the name of a file in the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRef {
    file: String,
}

impl State {
    pub(super) fn of(trust_domain: &TrustDomain, version: BundleVersion, trust: &Trust) -> Self {
        let BundleVersion { epoch, sequence } = version;
        Self {
            epoch,
            sequence,
            trust_domain: trust_domain.as_str().to_owned(),
            active: StoredAuthority::of(&trust.active),
            next: trust.next.as_ref().map(StoredAuthority::of),
            published: trust.published.iter().map(StoredRoot::of).collect(),
            leaves: StoredLeaves::of(trust.leaves),
        }
    }

    /// `None` when there is no state yet.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, StoreError> {
        let path = path(directory);
        let json = match files::read_private(&path) {
            Err(FileError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            read => read?,
        };
        let corrupt = |source| StoreError::Corrupt { path: path.clone(), source };
        let state: Self = serde_json::from_slice(&json).map_err(|error| corrupt(error.into()))?;
        let authorities = [Some(&state.active), state.next.as_ref()].into_iter().flatten();
        for key in authorities.filter_map(|authority| authority.key.as_ref()) {
            if KeyRef::named(OsStr::new(key.file_name())).is_none() {
                return Err(corrupt(Corruption::KeyName(key.file.clone())));
            }
        }
        Ok(Some(state))
    }

    /// Replaces the state as a whole: the point of commit.
    pub(super) fn write(&self, directory: &Path) -> Result<(), StoreError> {
        let path = path(directory);
        let json = serde_json::to_vec_pretty(self)
            .map_err(|error| StoreError::Corrupt { path: path.clone(), source: error.into() })?;
        Ok(files::write_atomically(&path, &json, 0o600)?)
    }

    pub(super) fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    pub(super) fn version(&self) -> BundleVersion {
        BundleVersion { epoch: self.epoch, sequence: self.sequence }
    }

    /// What it says. The keys are not read.
    pub(super) fn trust(self) -> Result<Trust, Corruption> {
        let active = self.active.known()?;
        let next = self.next.map(StoredAuthority::known).transpose()?;
        if self.published.is_empty() {
            return Ok(Trust::steady(active));
        }
        let published = self.published.into_iter().map(StoredRoot::published).collect::<Result<_, _>>()?;
        Ok(Trust { active, next, published, leaves: self.leaves.leaves()? })
    }
}

impl StoredAuthority {
    fn of(known: &KnownAuthority) -> Self {
        let pem = |certificates: &[CertificateDer<'_>]| {
            certificates.iter().map(|one| certificate_pem(one)).collect()
        };
        let is_root = known.roots == [known.certificate.der().clone()];
        Self {
            origin: known.origin,
            certificate: known.certificate.to_pem(),
            intermediates: pem(&known.intermediates),
            roots: if is_root { String::new() } else { pem(&known.roots) },
            key: known.key.clone(),
        }
    }

    fn known(self) -> Result<KnownAuthority, Corruption> {
        let certificate = CaCertificate::from_der(only(certificates(&self.certificate)?)?)?;
        let roots = certificates(&self.roots)?;
        Ok(KnownAuthority {
            origin: self.origin,
            intermediates: certificates(&self.intermediates)?,
            roots: if roots.is_empty() { vec![certificate.der().clone()] } else { roots },
            certificate,
            key: self.key,
        })
    }
}

impl StoredLeaves {
    fn of(Leaves { longest, longer_until }: Leaves) -> Self {
        Self { longest: longest.as_secs(), longer_until: seconds(longer_until) }
    }

    fn leaves(self) -> Result<Leaves, Corruption> {
        Ok(Leaves { longest: Duration::from_secs(self.longest), longer_until: time(self.longer_until)? })
    }
}

/// Upwards: nothing ends before its time.
fn seconds(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since_1970.as_secs() + u64::from(since_1970.subsec_nanos() > 0)
}

fn time(seconds: u64) -> Result<SystemTime, Corruption> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).ok_or(Corruption::Time)
}

impl StoredRoot {
    fn of(root: &Published) -> Self {
        Self {
            certificate: certificate_pem(&root.root),
            since: seconds(root.since),
            until: root.until.map(seconds),
        }
    }

    fn published(self) -> Result<Published, Corruption> {
        Ok(Published {
            root: only(certificates(&self.certificate)?)?,
            since: time(self.since)?,
            until: self.until.map(time).transpose()?,
        })
    }
}

impl KeyRef {
    /// The name that the file of a key has: half of its fingerprint tells all keys apart.
    pub(super) fn of(key: &PublicKey, kind: KeyFile) -> Self {
        let fingerprint: String = key.fingerprint().to_string().chars().take(FINGERPRINT_DIGITS).collect();
        Self { file: format!("{}{fingerprint}{SUFFIX}", kind.prefix()) }
    }

    /// The reference to a file with this name, if it is the name of a key: never a path out of the directory.
    pub(super) fn named(file: &OsStr) -> Option<Self> {
        let file = file.to_str()?;
        let fingerprint =
            [KeyFile::Own, KeyFile::Kept].iter().find_map(|kind| file.strip_prefix(kind.prefix()))?;
        let fingerprint = fingerprint.strip_suffix(SUFFIX)?;
        let is_ours = fingerprint.len() == FINGERPRINT_DIGITS
            && fingerprint.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_ours.then(|| Self { file: file.to_owned() })
    }

    pub(super) fn file_name(&self) -> &str {
        &self.file
    }

    /// Whether it is a copy of a key that comes from elsewhere.
    pub(crate) fn is_copy(&self) -> bool {
        self.kind() == KeyFile::Kept
    }

    pub(super) fn kind(&self) -> KeyFile {
        if self.file.starts_with(KeyFile::Kept.prefix()) { KeyFile::Kept } else { KeyFile::Own }
    }
}

/// Whose key a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyFile {
    /// Made by this CA: there is no other copy of it.
    Own,
    /// A copy of a key that comes from somewhere else, for as long as a restart may need it.
    Kept,
}

impl KeyFile {
    fn prefix(self) -> &'static str {
        match self {
            Self::Own => "key-",
            Self::Kept => "kept-key-",
        }
    }
}

/// Of the state in `directory`.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join("state.json")
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, Corruption> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|_| Corruption::NotPem)
}

fn only(certificates: Vec<CertificateDer<'static>>) -> Result<CertificateDer<'static>, Corruption> {
    let [certificate] = <[_; 1]>::try_from(certificates).map_err(|_| Corruption::NotPem)?;
    Ok(certificate)
}

const FINGERPRINT_DIGITS: usize = 32;
const SUFFIX: &str = ".pem";
