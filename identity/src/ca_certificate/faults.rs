//! What keeps a certificate from signing SVIDs, or from standing above one that does.

use der::asn1::OctetStringRef;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, NameConstraints};

use crate::PublicKey;
use crate::x509::{Certificate, Extensions, oid};

use super::{CaCertificate, CaCertificateError};

impl CaCertificate {
    /// Everything that keeps a certificate from signing SVIDs. None: [`from_der`](Self::from_der) takes it.
    pub fn faults(der: &[u8]) -> Vec<CaCertificateError> {
        Certificate::parse(der).map_or_else(
            |malformed| vec![malformed.into()],
            |certificate| {
                all(&[ca, may_sign, named, identified, both_ends, no_uri_constraints, key], &certificate)
            },
        )
    }

    /// Everything that keeps a certificate from standing above one that signs SVIDs, as an intermediate or as
    /// a root.
    ///
    /// Less than of the one that signs: no leaf points at its key, and a root without keyUsage, as
    /// `openssl req -x509` makes it, may sign all the same (RFC 5280 §4.2.1.3).
    pub fn faults_above(der: &[u8]) -> Vec<CaCertificateError> {
        Certificate::parse(der).map_or_else(
            |malformed| vec![malformed.into()],
            |certificate| all(&[ca, not_kept_from_signing, both_ends, no_uri_constraints, key], &certificate),
        )
    }
}

type Check = fn(&Certificate<'_>) -> Result<(), CaCertificateError>;

fn all(checks: &[Check], certificate: &Certificate<'_>) -> Vec<CaCertificateError> {
    checks.iter().filter_map(|check| check(certificate).err()).collect()
}

fn ca(certificate: &Certificate<'_>) -> Result<(), CaCertificateError> {
    let constraints = certificate.extensions.decode::<BasicConstraints>(oid::BASIC_CONSTRAINTS)?;
    constraints.filter(|constraints| constraints.ca).map(drop).ok_or(CaCertificateError::NotACa)
}

fn may_sign(certificate: &Certificate<'_>) -> Result<(), CaCertificateError> {
    let usage = usage(&certificate.extensions)?;
    usage.filter(KeyUsage::key_cert_sign).map(drop).ok_or(CaCertificateError::NoCertSign)
}

fn not_kept_from_signing(certificate: &Certificate<'_>) -> Result<(), CaCertificateError> {
    match usage(&certificate.extensions)? {
        Some(usage) if !usage.key_cert_sign() => Err(CaCertificateError::NoCertSign),
        _ => Ok(()),
    }
}

fn usage(extensions: &Extensions<'_>) -> Result<Option<KeyUsage>, CaCertificateError> {
    Ok(extensions.decode::<KeyUsage>(oid::KEY_USAGE)?)
}

fn named(certificate: &Certificate<'_>) -> Result<(), CaCertificateError> {
    if certificate.has_empty_subject() { Err(CaCertificateError::EmptySubject) } else { Ok(()) }
}

fn identified(certificate: &Certificate<'_>) -> Result<(), CaCertificateError> {
    let identifier = certificate.extensions.decode::<&OctetStringRef>(oid::SUBJECT_KEY_IDENTIFIER)?;
    identifier.map(drop).ok_or(CaCertificateError::NoKeyIdentifier)
}

fn both_ends(certificate: &Certificate<'_>) -> Result<(), CaCertificateError> {
    match certificate.extensions.decode(oid::EXTENDED_KEY_USAGE)? {
        Some(ExtendedKeyUsage(uses))
            if ![oid::SERVER_AUTH, oid::CLIENT_AUTH].iter().all(|end| uses.contains(end)) =>
        {
            Err(CaCertificateError::OneSided)
        }
        _ => Ok(()),
    }
}

fn no_uri_constraints(certificate: &Certificate<'_>) -> Result<(), CaCertificateError> {
    let Some(constraints) = certificate.extensions.decode::<NameConstraints>(oid::NAME_CONSTRAINTS)? else {
        return Ok(());
    };
    let subtrees = constraints.permitted_subtrees.iter().chain(&constraints.excluded_subtrees).flatten();
    for subtree in subtrees {
        if matches!(subtree.base, GeneralName::UniformResourceIdentifier(_)) {
            return Err(CaCertificateError::UriNameConstraints);
        }
    }
    Ok(())
}

fn key(certificate: &Certificate<'_>) -> Result<(), CaCertificateError> {
    PublicKey::from_spki(certificate.spki).map(drop).map_err(CaCertificateError::Key)
}
