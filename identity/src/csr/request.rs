//! The requester's side: making a CSR.

use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DistinguishedName, SanType};
use rustls_pki_types::DnsName;

use crate::{KeyError, PrivateKey, SpiffeId, pem};

/// A CSR as a workload, or its node agent, makes it.
pub struct CertificateRequest;

impl CertificateRequest {
    /// The PEM of a CSR for `identity`, signed by `key`: an empty subject, one critical URI SAN and nothing
    /// else, for nothing else would be granted.
    pub fn pem(key: &PrivateKey, identity: &SpiffeId) -> Result<String, KeyError> {
        Ok(pem::encode("CERTIFICATE REQUEST", &Self::der(key, identity, &[])?))
    }

    /// The same in DER, with DNS names beside it: what the authority asks for itself.
    pub(crate) fn der(
        key: &PrivateKey,
        identity: &SpiffeId,
        dns_names: &[String],
    ) -> Result<Vec<u8>, KeyError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names.push(SanType::URI(ia5(identity.as_str())?));
        for name in dns_names {
            DnsName::try_from(name.as_str()).map_err(|_| KeyError::NotADnsName { name: name.clone() })?;
            params.subject_alt_names.push(SanType::DnsName(ia5(name)?));
        }
        let request = params.serialize_request(key).map_err(|_| KeyError::NoRandomness)?;
        Ok(request.der().to_vec())
    }
}

fn ia5(name: &str) -> Result<Ia5String, KeyError> {
    name.try_into().map_err(|_| KeyError::NotADnsName { name: name.to_owned() })
}
