//! The requester's side: making a CSR.

use rcgen::{CertificateParams, DistinguishedName, SanType};

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
        let ia5 = |text: &str| text.try_into().map_err(|_| KeyError::NotAscii { name: text.to_owned() });
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names.push(SanType::URI(ia5(identity.as_str())?));
        for name in dns_names {
            params.subject_alt_names.push(SanType::DnsName(ia5(name)?));
        }
        let request = params.serialize_request(key).map_err(|_| KeyError::NoRandomness)?;
        Ok(request.der().to_vec())
    }
}
