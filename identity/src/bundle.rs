//! Whom to trust: the authorities of a trust domain.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_cert::ext::pkix::BasicConstraints;

use crate::x509::{Certificate, X509Error, oid};
use crate::{TrustDomain, Validity, pem};

/// How new a bundle is: the time its state was made, in seconds since 1970, then a count of its changes.
/// The greater is the newer, so that a state made anew counts as newer than the one it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleVersion {
    /// When the state was made, in seconds since 1970.
    pub epoch: u64,
    /// How often the bundle has changed since.
    pub sequence: u64,
}

/// The X.509 authorities of one trust domain: at least one, each a CA certificate, none twice. Never merged
/// with those of another trust domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustBundle {
    trust_domain: TrustDomain,
    authorities: Vec<CertificateDer<'static>>,
    /// Of each authority.
    validities: Vec<Validity>,
    version: Option<BundleVersion>,
}

impl TrustBundle {
    /// A bundle of 1 to [`MAX_AUTHORITIES`] CA certificates. What stands twice is kept once.
    pub fn new(
        trust_domain: TrustDomain,
        authorities: Vec<CertificateDer<'static>>,
        version: Option<BundleVersion>,
    ) -> Result<Self, BundleError> {
        let mut bundle = Self { trust_domain, authorities: Vec::new(), validities: Vec::new(), version };
        if authorities.is_empty() {
            return Err(BundleError::Empty);
        }
        for (index, authority) in authorities.into_iter().enumerate() {
            if bundle.authorities.contains(&authority) {
                continue;
            }
            if bundle.authorities.len() == MAX_AUTHORITIES {
                return Err(BundleError::TooMany);
            }
            let number = index + 1;
            let validity =
                ca_validity(&authority).map_err(|source| BundleError::Malformed { number, source })?;
            bundle.validities.push(validity.ok_or(BundleError::NotACa { number })?);
            bundle.authorities.push(authority);
        }
        Ok(bundle)
    }

    /// From the `CERTIFICATE` blocks of a PEM text; whatever stands between them is a comment.
    pub fn from_pem(
        trust_domain: TrustDomain,
        pem: &str,
        version: Option<BundleVersion>,
    ) -> Result<Self, BundleError> {
        let authorities = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| BundleError::NotPem)?;
        Self::new(trust_domain, authorities, version)
    }

    /// One PEM block an authority.
    pub fn to_pem(&self) -> String {
        self.authorities.iter().map(|authority| pem::certificate_pem(authority)).collect()
    }

    /// The CA certificates, in the order given.
    pub fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    /// Whose authorities they are.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// How new it is. `None`: it came from a CA that does not say, as istiod's does not.
    pub fn version(&self) -> Option<BundleVersion> {
        self.version
    }

    /// Each authority with its validity.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&CertificateDer<'static>, &Validity)> {
        self.authorities.iter().zip(&self.validities)
    }
}

/// Why certificates are no bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Nobody would be trusted.
    #[error("the trust bundle has no certificate in it")]
    Empty,
    /// A block of the text is damaged.
    #[error("the trust bundle is not PEM")]
    NotPem,
    /// More roots than any trust domain rotates among.
    #[error("the trust bundle has more than {MAX_AUTHORITIES} certificates")]
    TooMany,
    /// A part of it is no certificate.
    #[error("certificate {number} of the trust bundle is malformed")]
    Malformed {
        /// Counted from one.
        number: usize,
        /// What is wrong with it.
        source: X509Error,
    },
    /// A leaf among the roots: who holds it could sign nothing, but who trusts it is mistaken.
    #[error("certificate {number} of the trust bundle is not a CA's; leave it out")]
    NotACa {
        /// Counted from one.
        number: usize,
    },
}

/// The most authorities that a bundle may have.
pub const MAX_AUTHORITIES: usize = 64;

/// The validity of a CA certificate; `None` if it is not one.
fn ca_validity(der: &CertificateDer<'_>) -> Result<Option<Validity>, X509Error> {
    let certificate = Certificate::parse(der)?;
    let constraints = certificate.extensions.decode::<BasicConstraints>(oid::BASIC_CONSTRAINTS)?;
    Ok(constraints.is_some_and(|constraints| constraints.ca).then_some(certificate.validity))
}

#[cfg(test)]
mod tests;
