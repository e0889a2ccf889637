//! The files of an operator: a signing key, its certificate, and the roots that it leads to.
//!
//! Either in the layout of Istio's `cacerts` Secret (`ca-cert.pem`, `ca-key.pem`, `root-cert.pem`,
//! `cert-chain.pem`) or in that of a `kubernetes.io/tls` Secret, as cert-manager writes it (`tls.crt`,
//! `tls.key`, `ca.crt`). A set is judged whole, and everything that is wrong with it is told at once. What is
//! decided here is whether the files are able to sign; whether they do, and when they may, is for whoever
//! takes the set.

mod eyes;
mod fault;
mod judge;
mod material;
mod path;
mod settling;
mod snapshot;
#[cfg(test)]
pub(crate) mod testing;
mod watch;

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use rustls_pki_types::CertificateDer;
use signet_identity::{CaCertificate, SigningKey};

pub use fault::Faults;
pub use watch::{Watch, WatchConfig};

use snapshot::Snapshot;

/// A set of files that can sign.
///
/// Guarantees: the key is the certificate's, each link up to a root verifies, all of them may sign and are
/// valid for a useful time, and no path length is exceeded. Not that peers accept what it signs: a throw-away
/// SVID shows that.
#[derive(Debug)]
pub struct InjectedSet {
    /// Belongs to `certificate`.
    pub key: SigningKey,
    /// What its leaves name as their issuer.
    pub certificate: CaCertificate,
    /// As [`Assembler::new`](crate::Assembler::new) wants them.
    pub intermediates: Vec<CertificateDer<'static>>,
    /// All that proxies are to trust, none twice, in the order of the file.
    pub roots: Vec<CertificateDer<'static>>,
    /// What an operator should know, though it keeps nothing from signing: each names the file.
    pub remarks: Vec<String>,
}

/// Reads and judges the files of `directory` as they are at `now`. Blocks.
///
/// Every certificate between a leaf and its root must be valid for at least `min_remaining` more: small for a
/// start, where nothing better would be signing instead.
///
/// # Errors
/// All that is wrong with them.
pub fn read(directory: &Path, now: SystemTime, min_remaining: Duration) -> Result<InjectedSet, Faults> {
    judge::judge(&Snapshot::settled(directory), now, min_remaining)
}
