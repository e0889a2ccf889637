//! Whether clients would take a certificate that an operator gives, as far as it says itself.

use std::time::SystemTime;

use humantime::format_rfc3339_seconds;
use rustls::{client::verify_server_name, server::ParsedCertificate};
use rustls_pki_types::{CertificateDer, ServerName};
use signet_identity::{CertificateSummary, Validity, X509Error};

/// Why clients would refuse it.
#[derive(Debug, thiserror::Error)]
pub enum LeafFault {
    /// Its time is over, or has not come.
    #[error(
        "it is valid from {} to {} only. Give one that is valid now, or set this machine's clock",
        format_rfc3339_seconds(.0.not_before()),
        format_rfc3339_seconds(.0.not_after())
    )]
    NotNow(Validity),
    /// It is a CA's, or for other uses.
    #[error("it is not for a TLS server. Give one that is no CA's and has extendedKeyUsage serverAuth")]
    NotForServers,
    /// It has no name that clients dial.
    #[error(
        "it names none of `identity.dns_names` ({0}). Give one that does, or set those to what clients dial"
    )]
    OtherNames(String),
    /// It is not well-formed.
    #[error("it is malformed")]
    Malformed(#[from] X509Error),
}

/// How long it is valid, if at `now` a client that dials one of `dns_names` has no reason to refuse it but its
/// signer.
pub(super) fn judge(
    leaf: &CertificateDer<'_>,
    dns_names: &[String],
    now: SystemTime,
) -> Result<Validity, LeafFault> {
    let summary = CertificateSummary::of(leaf)?;
    let validity = summary.validity();
    if !validity.contains(now) {
        return Err(LeafFault::NotNow(validity));
    }
    if summary.is_ca() || !summary.is_for_servers() {
        return Err(LeafFault::NotForServers);
    }
    let names = ParsedCertificate::try_from(leaf);
    let is_named = |name: &String| match (&names, ServerName::try_from(name.as_str())) {
        (Ok(names), Ok(name)) => verify_server_name(names, &name).is_ok(),
        _ => false,
    };
    if dns_names.iter().any(is_named) {
        Ok(validity)
    } else {
        Err(LeafFault::OtherNames(dns_names.join(", ")))
    }
}
