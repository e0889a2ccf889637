//! The certificate of an authority: who signs.

use std::time::{Duration, SystemTime};

use der::asn1::OctetStringRef;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyIdMethod, KeyUsagePurpose,
};
use rcgen::{SanType, SerialNumber};
use rustls_pki_types::CertificateDer;
use x509_cert::ext::pkix::BasicConstraints as Constraints;

use crate::hex::hex;
use crate::validity::MAX_BACKDATE;
use crate::x509::{Certificate, X509Error, oid, random_serial};
use crate::{PrivateKey, PublicKey, PublicKeyError, TrustDomain, Validity, ValidityError, pem};

mod faults;

/// A certificate that may sign leaves.
///
/// Guarantees: cA is true (rule X-10), keyCertSign is set, it has a subject and a
/// subjectKeyIdentifier for its leaves to point at, its key is of a kind we verify, it has no URI name
/// constraints, and it keeps nobody below it to one end of TLS. Not that anybody trusts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaCertificate {
    der: CertificateDer<'static>,
    subject: Vec<u8>,
    key_identifier: Vec<u8>,
    public_key: PublicKey,
    validity: Validity,
    path_len: Option<u8>,
}

impl CaCertificate {
    /// A new root for `key`, valid from a minute before `now` to `lifetime` after it: the SPIFFE ID of the
    /// trust domain as its URI SAN, keyCertSign and cRLSign, and a subject that no other key
    /// has, for verifiers that find issuers by name mistake roots of equal names for each other.
    pub fn self_signed(
        key: &PrivateKey,
        trust_domain: &TrustDomain,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<Self, CaCertificateError> {
        let not_before = now.checked_sub(MAX_BACKDATE).unwrap_or(now);
        let not_after = now.checked_add(lifetime).ok_or(ValidityError::Inexpressible)?;
        let params = profile(key.public_key(), trust_domain, Validity::new(not_before, not_after)?)?;
        Self::from_der(params.self_signed(key).map_err(CaCertificateError::NotMade)?.into())
    }

    /// Any CA certificate that can sign SVIDs which peers accept.
    pub fn from_der(der: CertificateDer<'static>) -> Result<Self, CaCertificateError> {
        if let Some(first) = Self::faults(&der).into_iter().next() {
            return Err(first);
        }
        let certificate = Certificate::parse(&der)?;
        let extensions = &certificate.extensions;
        let constraints = extensions.decode::<Constraints>(oid::BASIC_CONSTRAINTS)?;
        let key_identifier = extensions
            .decode::<&OctetStringRef>(oid::SUBJECT_KEY_IDENTIFIER)?
            .ok_or(CaCertificateError::NoKeyIdentifier)?;
        Ok(Self {
            subject: certificate.subject.to_vec(),
            key_identifier: key_identifier.as_bytes().to_vec(),
            public_key: PublicKey::from_spki(certificate.spki).map_err(CaCertificateError::Key)?,
            validity: certificate.validity,
            path_len: constraints.and_then(|constraints| constraints.path_len_constraint),
            der,
        })
    }

    /// The certificate.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// From when to when it may sign.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The same, signing for no longer than until `end`: for when what stands above it ends earlier.
    #[must_use]
    pub fn ending_by(self, end: SystemTime) -> Self {
        Self { validity: self.validity.ending_by(end), ..self }
    }

    /// How many CA certificates may stand between it and a leaf (RFC 5280 §4.2.1.9). `None`: any number.
    pub fn path_len(&self) -> Option<u8> {
        self.path_len
    }

    /// The key that its signatures verify under.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Its subjectKeyIdentifier in lower-case hex: the name of this authority in logs and audit.
    pub fn key_id(&self) -> String {
        hex(&self.key_identifier)
    }

    /// One PEM block.
    pub fn to_pem(&self) -> String {
        pem::certificate_pem(&self.der)
    }

    /// The Name that its leaves have as issuer, verbatim.
    pub(crate) fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// What its leaves have as authorityKeyIdentifier: copied, for there are several ways to compute it.
    pub(crate) fn key_identifier(&self) -> &[u8] {
        &self.key_identifier
    }
}

/// Why a certificate cannot sign SVIDs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaCertificateError {
    /// Not a certificate.
    #[error("the CA certificate is malformed")]
    Malformed(#[source] X509Error),
    /// A leaf was given where an authority is needed.
    #[error("the certificate is not a CA's: basicConstraints does not say CA:TRUE (X-10)")]
    NotACa,
    /// A CA that may not sign certificates.
    #[error(
        "the CA certificate's keyUsage does not allow keyCertSign (X-14); issue it anew with `keyUsage = critical, keyCertSign, cRLSign`"
    )]
    NoCertSign,
    /// Leaves could not name their issuer.
    #[error(
        "the CA certificate has an empty subject, so its leaves could not name it; issue it anew with one"
    )]
    EmptySubject,
    /// Leaves could not point at their issuer's key.
    #[error(
        "the CA certificate has no subjectKeyIdentifier; issue it anew with `subjectKeyIdentifier = hash`"
    )]
    NoKeyIdentifier,
    /// Leaves inherit it: peers' path validation would accept none of them at both ends.
    #[error(
        "the CA certificate's extendedKeyUsage lacks serverAuth or clientAuth, and counts for everything below it (X-17); issue it anew without one"
    )]
    OneSided,
    /// The webpki of rustls cannot evaluate them and would refuse every SVID below this certificate.
    #[error(
        "the CA certificate has URI name constraints, under which rustls (webpki) rejects every SVID; issue it anew without them"
    )]
    UriNameConstraints,
    /// Its key is of a kind that is not verified.
    #[error("the CA certificate's key is refused")]
    Key(#[source] PublicKeyError),
    /// The lifetime asked for cannot be expressed.
    #[error("the CA certificate cannot have this validity")]
    Validity(#[from] ValidityError),
    /// The operating system's random number generator failed.
    #[error("the operating system gave no random numbers for a serial")]
    NoRandomness,
    /// The certificate could not be laid out or signed: our fault.
    #[error("the CA certificate could not be made")]
    NotMade(#[source] rcgen::Error),
}

impl From<X509Error> for CaCertificateError {
    fn from(error: X509Error) -> Self {
        Self::Malformed(error)
    }
}

impl From<der::Error> for CaCertificateError {
    fn from(error: der::Error) -> Self {
        Self::Malformed(error.into())
    }
}

/// What a CA certificate of ours says.
pub(crate) fn profile(
    key: &PublicKey,
    trust_domain: &TrustDomain,
    validity: Validity,
) -> Result<CertificateParams, CaCertificateError> {
    let serial = random_serial().map_err(|_| CaCertificateError::NoRandomness)?;
    let uri = trust_domain.id().as_str().try_into().map_err(CaCertificateError::NotMade)?;
    let key_identifier = key.key_identifier();
    let mut params = CertificateParams::default();
    params.not_before = validity.not_before().into();
    params.not_after = validity.not_after().into();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = DistinguishedName::new();
    // At most 64 characters each (RFC 5280 §A.1).
    params.distinguished_name.push(DnType::OrganizationName, format!("{:.64}", trust_domain.as_str()));
    params.distinguished_name.push(DnType::CommonName, format!("Signet {}", hex(&key_identifier)));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.key_identifier_method = KeyIdMethod::PreSpecified(key_identifier.to_vec());
    params.subject_alt_names = vec![SanType::URI(uri)];
    Ok(params)
}

#[cfg(test)]
mod tests;
