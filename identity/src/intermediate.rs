//! A signing certificate that another authority is to make for a key of ours: how it is asked for, and whether it is
//! what was asked for.

use std::time::SystemTime;

use x509_cert::ext::pkix::{KeyUsage, KeyUsages};

use crate::x509::{AltName, Certificate, X509Error, oid};
use crate::{
    CaCertificate, CaCertificateError, PrivateKey, RequestError, TrustDomain, Validity, ca_certificate,
    csr_pem,
};

/// The CSR of an intermediate.
pub struct IntermediateRequest;

impl IntermediateRequest {
    /// The PEM of a CSR signed by `key` for what [`CaCertificate::self_signed`] makes of a root: a subject that no other
    /// key has, the trust domain's SPIFFE ID as the URI SAN, CA:TRUE, keyCertSign and cRLSign.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn pem(key: &PrivateKey, trust_domain: &TrustDomain) -> Result<String, RequestError> {
        // A CSR has no validity; the profile wants one.
        let any =
            Validity::new(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH).map_err(CaCertificateError::from);
        let mut params = any.and_then(|any| ca_certificate::profile(key.public_key(), trust_domain, any))?;
        params.serial_number = None;
        let request = params.serialize_request(key).map_err(RequestError::NotMade)?;
        Ok(csr_pem(request.der()))
    }
}

/// How an intermediate differs from what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntermediateFault {
    /// It cannot be read.
    #[error("it is malformed")]
    Malformed(#[from] X509Error),
    /// For a key that we do not have.
    #[error("it is for another key than the one of the CSR")]
    Key,
    /// Another SPIFFE ID than the trust domain's, or none, or several.
    #[error(
        "its URI SANs are {found:?}, it should have the trust domain's SPIFFE ID and no other (X-06, X-07)"
    )]
    Uris {
        /// Its URI SANs.
        found: Vec<String>,
    },
    /// Names beside it, such as a DNS name that was made of a common name.
    #[error("it has names that were not asked for: {found:?}")]
    OtherNames {
        /// As `DNS:a.example`.
        found: Vec<String>,
    },
    /// It may have CA certificates below it.
    #[error(
        "its path length is {found:?}, it should be 0: nobody but us may sign under it, and we sign leaves"
    )]
    PathLength {
        /// What it says.
        found: Option<u8>,
    },
    /// It may do more than sign certificates and revocation lists.
    #[error("its keyUsage allows more than keyCertSign and cRLSign")]
    Usage,
    /// It is over, or has not begun.
    #[error("it is not valid now; check the clocks of this machine and of the signer")]
    NotValid,
}

impl CaCertificate {
    /// Whether it is an intermediate as [`IntermediateRequest`] asks for, for `key`, and valid `now`.
    ///
    /// # Errors
    /// How it differs.
    pub fn judge_intermediate(
        &self,
        key: &PrivateKey,
        trust_domain: &TrustDomain,
        now: SystemTime,
    ) -> Result<(), IntermediateFault> {
        if self.public_key() != key.public_key() {
            return Err(IntermediateFault::Key);
        }
        let certificate = Certificate::parse(self.der())?;
        let names = certificate.extensions.alt_names().map_err(X509Error::from)?;
        let (uris, others): (Vec<_>, Vec<_>) =
            names.into_iter().partition(|name| matches!(name, AltName::Uri(_)));
        let texts = |names: Vec<AltName<'_>>| names.iter().map(ToString::to_string).collect();
        if !matches!(uris[..], [AltName::Uri(uri)] if uri == trust_domain.id().as_str()) {
            return Err(IntermediateFault::Uris { found: texts(uris) });
        }
        if !others.is_empty() {
            return Err(IntermediateFault::OtherNames { found: texts(others) });
        }
        if self.path_len() != Some(0) {
            return Err(IntermediateFault::PathLength { found: self.path_len() });
        }
        let usage = certificate.extensions.decode::<KeyUsage>(oid::KEY_USAGE).map_err(X509Error::from)?;
        let signs_certificates = KeyUsages::KeyCertSign | KeyUsages::CRLSign;
        if usage.is_some_and(|KeyUsage(uses)| !(uses - signs_certificates).is_empty()) {
            return Err(IntermediateFault::Usage);
        }
        if !self.validity().contains(now) {
            return Err(IntermediateFault::NotValid);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
