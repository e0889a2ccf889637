//! The rules that make a certificate an X.509-SVID, and not merely a certificate.

use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use crate::x509::{AltName, Certificate, oid};

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
    ///
    #[error("the certificate's SPIFFE ID has no path, so it names a trust domain and no workload (X-04)")]
    RootPath,
    ///
    #[error("the certificate has neither a subject nor a critical SAN extension (X-05)")]
    SanNotCritical,
    ///
    #[error("the certificate is a CA's: basicConstraints says CA:TRUE (X-10)")]
    Ca,
    ///
    #[error("the certificate has no critical keyUsage (X-13)")]
    NoKeyUsage,
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
    UnknownCritical(der::oid::ObjectIdentifier),
}

/// Holds `leaf` to the rules. Its one URI SAN, which is yet to be compared with the expected SPIFFE ID.
pub(super) fn check<'a>(leaf: &Certificate<'a>) -> Result<&'a str, SvidError> {
    check_usage(leaf)?;
    let unknown =
        leaf.extensions.iter().find(|extension| extension.critical && !KNOWN.contains(&extension.id));
    if let Some(extension) = unknown {
        return Err(BrokenRule::UnknownCritical(extension.id).into());
    }
    let names = leaf.extensions.alt_names()?;
    let mut uris = names.iter().filter_map(|name| match name {
        AltName::Uri(uri) => Some(*uri),
        _ => None,
    });
    let (Some(uri), None) = (uris.next(), uris.next()) else {
        let count = names.iter().filter(|name| matches!(name, AltName::Uri(_))).count();
        return Err(BrokenRule::Uris { count }.into());
    };
    if leaf.has_empty_subject()
        && !leaf.extensions.find(oid::SUBJECT_ALT_NAME).is_some_and(|san| san.critical)
    {
        return Err(BrokenRule::SanNotCritical.into());
    }
    Ok(uri)
}

fn check_usage(leaf: &Certificate<'_>) -> Result<(), SvidError> {
    let extensions = &leaf.extensions;
    if extensions
        .decode::<BasicConstraints>(oid::BASIC_CONSTRAINTS)?
        .is_some_and(|constraints| constraints.ca)
    {
        return Err(BrokenRule::Ca.into());
    }
    if !extensions.find(oid::KEY_USAGE).is_some_and(|extension| extension.critical) {
        return Err(BrokenRule::NoKeyUsage.into());
    }
    let usage = extensions.decode::<KeyUsage>(oid::KEY_USAGE)?.ok_or(BrokenRule::NoKeyUsage)?;
    if usage.key_cert_sign() || usage.crl_sign() {
        return Err(BrokenRule::MaySign.into());
    }
    if !usage.digital_signature() {
        return Err(BrokenRule::NoDigitalSignature.into());
    }
    if let Some(ExtendedKeyUsage(uses)) = extensions.decode(oid::EXTENDED_KEY_USAGE)?
        && !(uses.contains(&oid::SERVER_AUTH) && uses.contains(&oid::CLIENT_AUTH))
    {
        return Err(BrokenRule::OneSided.into());
    }
    Ok(())
}

/// The critical extensions that are understood here.
const KNOWN: &[der::oid::ObjectIdentifier] =
    &[oid::BASIC_CONSTRAINTS, oid::EXTENDED_KEY_USAGE, oid::KEY_USAGE, oid::SUBJECT_ALT_NAME];
