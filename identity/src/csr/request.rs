//! The requester's side: making a CSR.

use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DistinguishedName, SanType};
use rustls_pki_types::DnsName;

use super::CsrError;
use crate::{CaCertificateError, PrivateKey, SpiffeId, pem};

/// A CSR as a workload, or its node agent, makes it.
pub struct CertificateRequest;

impl CertificateRequest {
    /// The PEM of a CSR for `identity`, signed by `key`: an empty subject, one critical URI SAN and nothing
    /// else, for nothing else would be granted.
    pub fn pem(key: &PrivateKey, identity: &SpiffeId) -> Result<String, RequestError> {
        Ok(csr_pem(&Self::der(key, identity, &[])?))
    }

    /// The same in DER, with DNS names beside it: what the authority asks for itself.
    pub(crate) fn der(
        key: &PrivateKey,
        identity: &SpiffeId,
        dns_names: &[String],
    ) -> Result<Vec<u8>, RequestError> {
        let uri = identity.as_str().try_into().map_err(RequestError::NotMade)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names.push(SanType::URI(uri));
        for name in dns_names {
            params.subject_alt_names.push(SanType::DnsName(dns_name(name)?));
        }
        let request = params.serialize_request(key).map_err(RequestError::NotMade)?;
        Ok(request.der().to_vec())
    }
}

/// A CSR as one `CERTIFICATE REQUEST` block.
pub fn csr_pem(der: &[u8]) -> String {
    pem::encode("CERTIFICATE REQUEST", der)
}

/// Why there is no CSR, ordered by whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A name to be certified cannot stand in a certificate.
    #[error("{name:?} is not a DNS name; write an international one in its `xn--` form")]
    NotADnsName {
        /// The name.
        name: String,
    },
    /// Our own CSR is not one that we would accept: there are too many names, or the fault is ours.
    #[error("the CSR that was made would be refused")]
    Refused(#[from] CsrError),
    /// The CSR of an intermediate could not be laid out: our fault.
    #[error("the CSR of a CA certificate could not be made")]
    Intermediate(#[from] CaCertificateError),
    /// It could not be laid out or signed: our fault, or that of the system's random numbers.
    #[error("the CSR could not be made")]
    NotMade(#[source] rcgen::Error),
}

fn dns_name(name: &str) -> Result<Ia5String, RequestError> {
    let refused = || RequestError::NotADnsName { name: name.to_owned() };
    DnsName::try_from(name).map_err(|_| refused())?;
    name.try_into().map_err(|_| refused())
}
