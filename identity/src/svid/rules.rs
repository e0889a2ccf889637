//! The rules that make a certificate an X.509-SVID, and not merely a certificate.

use der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use crate::x509::{AltName, Certificate, Extension, X509Error, oid};
use crate::{SpiffeId, SpiffeIdError};

use super::SvidError;

/// The rule of X.509-SVID that a leaf breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRule {
    ///
    #[error("the certificate has {count} URI SANs, an SVID exactly one (X-01)")]
    Uris {
        /// How many it has.
        count: usize,
    },
    /// ID-01 to ID-15. Never of [`X509Svid`](super::X509Svid), which compares with an ID that is one.
    #[error("the certificate's URI SAN is no SPIFFE ID: {0}")]
    Id(SpiffeIdError),
    ///
    #[error("the certificate's SPIFFE ID has no path, so it names a trust domain and no workload (X-04)")]
    RootPath,
    ///
    #[error("the certificate has neither a subject nor a critical SAN extension (X-05)")]
    SanNotCritical,
    ///
    #[error("the SPIFFE ID of the signing certificate has a path, as only a workload's has (X-07)")]
    PathOfAuthority,
    ///
    #[error("the certificate is a CA's: basicConstraints says CA:TRUE (X-10)")]
    Ca,
    ///
    #[error("the certificate has no critical keyUsage (X-13)")]
    NoKeyUsage,
    ///
    #[error("the signing certificate's keyUsage does not allow keyCertSign (X-14)")]
    MayNotSign,
    ///
    #[error("the certificate's keyUsage does not allow digitalSignature (X-15)")]
    NoDigitalSignature,
    ///
    #[error("the certificate's keyUsage allows keyCertSign or cRLSign (X-16)")]
    MaySign,
    ///
    #[error("the certificate's extendedKeyUsage lacks serverAuth or clientAuth (X-17)")]
    OneSided,
    /// X-19, by RFC 5280 §4.2.
    #[error("the certificate has a critical extension that is not known, {0} (X-19)")]
    UnknownCritical(ObjectIdentifier),
}

impl BrokenRule {
    /// The number of the rule, such as `X-01`.
    pub fn number(&self) -> &'static str {
        match self {
            Self::Uris { .. } => "X-01",
            Self::Id(fault) => fault.rule().unwrap_or("X-21"),
            Self::RootPath => "X-04",
            Self::SanNotCritical => "X-05",
            Self::PathOfAuthority => "X-07",
            Self::Ca => "X-10",
            Self::NoKeyUsage => "X-13",
            Self::MayNotSign => "X-14",
            Self::NoDigitalSignature => "X-15",
            Self::MaySign => "X-16",
            Self::OneSided => "X-17",
            Self::UnknownCritical(_) => "X-19",
        }
    }
}

/// Holds `leaf` to the rules. Its one URI SAN, which is yet to be compared with the expected SPIFFE ID.
pub(super) fn check<'a>(leaf: &Certificate<'a>) -> Result<&'a str, SvidError> {
    let uris = uris(leaf)?;
    match of_leaf(leaf, &uris)?.into_iter().next() {
        Some(first) => Err(first.into()),
        None => Ok(uris.first().copied().unwrap_or_default()),
    }
}

/// Every rule that the certificate breaks: those for signing certificates if basicConstraints say that it is a CA's,
/// else those for leaves. Nobody is trusted by this: it tells a person what to mend.
///
/// # Errors
/// It is not well-formed, and no rule can be looked at.
pub fn broken_rules(der: &[u8]) -> Result<Vec<BrokenRule>, X509Error> {
    let certificate = Certificate::parse(der)?;
    let uris = uris(&certificate)?;
    let is_ca = is_ca(&certificate)?;
    let mut broken = if is_ca { of_authority(&certificate, &uris)? } else { of_leaf(&certificate, &uris)? };
    if let [uri] = uris[..] {
        match (uri.parse::<SpiffeId>(), is_ca) {
            (Err(fault), _) => broken.push(BrokenRule::Id(fault)),
            (Ok(id), true) if !id.path().is_empty() => broken.push(BrokenRule::PathOfAuthority),
            (Ok(id), false) if id.path().is_empty() => broken.push(BrokenRule::RootPath),
            (Ok(_), _) => {}
        }
    }
    Ok(broken)
}

/// All but those on the SPIFFE ID itself. A leaf that breaks none costs no allocation.
fn of_leaf(leaf: &Certificate<'_>, uris: &[&str]) -> Result<Vec<BrokenRule>, X509Error> {
    let mut broken = Vec::new();
    if is_ca(leaf)? {
        broken.push(BrokenRule::Ca);
    }
    let usage = usage(leaf, &mut broken)?;
    if usage.is_some_and(|usage| usage.key_cert_sign() || usage.crl_sign()) {
        broken.push(BrokenRule::MaySign);
    }
    if usage.is_some_and(|usage| !usage.digital_signature()) {
        broken.push(BrokenRule::NoDigitalSignature);
    }
    if let Some(ExtendedKeyUsage(uses)) = leaf.extensions.decode(oid::EXTENDED_KEY_USAGE)?
        && !(uses.contains(&oid::SERVER_AUTH) && uses.contains(&oid::CLIENT_AUTH))
    {
        broken.push(BrokenRule::OneSided);
    }
    broken.extend(unknown_critical(leaf, KNOWN));
    if uris.len() != 1 {
        broken.push(BrokenRule::Uris { count: uris.len() });
    }
    broken.extend(san_not_critical(leaf));
    Ok(broken)
}

/// A signing certificate need not be an SVID (X-06 is no must).
fn of_authority(authority: &Certificate<'_>, uris: &[&str]) -> Result<Vec<BrokenRule>, X509Error> {
    let mut broken = Vec::new();
    if usage(authority, &mut broken)?.is_some_and(|usage| !usage.key_cert_sign()) {
        broken.push(BrokenRule::MayNotSign);
    }
    broken.extend(unknown_critical(authority, KNOWN_OF_AUTHORITIES));
    if uris.len() > 1 {
        broken.push(BrokenRule::Uris { count: uris.len() });
    }
    broken.extend(san_not_critical(authority).filter(|_| !uris.is_empty()));
    Ok(broken)
}

fn is_ca(certificate: &Certificate<'_>) -> Result<bool, X509Error> {
    let constraints = certificate.extensions.decode::<BasicConstraints>(oid::BASIC_CONSTRAINTS)?;
    Ok(constraints.is_some_and(|constraints| constraints.ca))
}

/// What the key may do, if that is said; that it is said, and must be understood, is a rule by itself.
fn usage(certificate: &Certificate<'_>, broken: &mut Vec<BrokenRule>) -> Result<Option<KeyUsage>, X509Error> {
    if !certificate.extensions.find(oid::KEY_USAGE).is_some_and(|extension| extension.critical) {
        broken.push(BrokenRule::NoKeyUsage);
    }
    Ok(certificate.extensions.decode(oid::KEY_USAGE)?)
}

fn uris<'a>(certificate: &Certificate<'a>) -> Result<Vec<&'a str>, X509Error> {
    let uri = |name| match name {
        AltName::Uri(uri) => Some(uri),
        _ => None,
    };
    Ok(certificate.extensions.alt_names()?.into_iter().filter_map(uri).collect())
}

fn unknown_critical<'a>(
    certificate: &'a Certificate<'_>,
    known: &'a [ObjectIdentifier],
) -> impl Iterator<Item = BrokenRule> + 'a {
    let unknown = |extension: &&Extension<'_>| extension.critical && !known.contains(&extension.id);
    certificate.extensions.iter().filter(unknown).map(|extension| BrokenRule::UnknownCritical(extension.id))
}

fn san_not_critical(certificate: &Certificate<'_>) -> Option<BrokenRule> {
    let san = certificate.extensions.find(oid::SUBJECT_ALT_NAME);
    let named = !certificate.has_empty_subject() || san.is_some_and(|san| san.critical);
    (!named).then_some(BrokenRule::SanNotCritical)
}

/// The critical extensions that are understood here.
const KNOWN: &[ObjectIdentifier] =
    &[oid::BASIC_CONSTRAINTS, oid::EXTENDED_KEY_USAGE, oid::KEY_USAGE, oid::SUBJECT_ALT_NAME];
/// Those of a signing certificate: name constraints are its to make.
const KNOWN_OF_AUTHORITIES: &[ObjectIdentifier] = &[
    oid::BASIC_CONSTRAINTS,
    oid::EXTENDED_KEY_USAGE,
    oid::KEY_USAGE,
    oid::SUBJECT_ALT_NAME,
    oid::NAME_CONSTRAINTS,
];

#[cfg(test)]
mod tests;
