//! CSRs to ask with, each with a key of its own that nobody will use.

use anyhow::{Context, Result};
use clap::ValueEnum;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_RSA_SHA256, SanType};
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use rsa::rand_core::OsRng;
use rustls_pki_types::PrivatePkcs8KeyDer;
use signet_identity::{CertificateRequest, PrivateKey, SpiffeId};

/// Kind of the keys of a load's CSRs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum CsrKeys {
    /// ECDSA P-256
    #[default]
    #[value(name = "ecdsa-p256")]
    EcdsaP256,
    /// RSA of 2048 bits
    #[value(name = "rsa-2048")]
    Rsa2048,
}

impl CsrKeys {
    /// So many PEM CSRs for `identity`. An RSA key takes its time: some hundred milliseconds each.
    pub fn csrs(self, identity: &SpiffeId, count: usize) -> Result<Vec<String>> {
        (0..count).map(|_| self.csr(identity)).collect()
    }

    fn csr(self, identity: &SpiffeId) -> Result<String> {
        match self {
            Self::EcdsaP256 => Ok(CertificateRequest::pem(&PrivateKey::generate()?, identity)?),
            Self::Rsa2048 => rsa_csr(identity),
        }
    }
}

/// ring signs with RSA keys and makes none.
fn rsa_csr(identity: &SpiffeId) -> Result<String> {
    let key = RsaPrivateKey::new(&mut OsRng, 2048).context("no RSA key could be made")?;
    let der = key.to_pkcs8_der().context("an RSA key that cannot be encoded")?;
    let key = PrivatePkcs8KeyDer::from(der.as_bytes());
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_RSA_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names.push(SanType::URI(identity.as_str().try_into()?));
    Ok(params.serialize_request(&key)?.pem()?)
}

#[cfg(test)]
mod tests {
    use signet_identity::{Csr, KeyAlgorithm};

    use super::*;

    #[test]
    fn a_csr_is_one_that_a_ca_accepts_with_a_key_of_the_kind_that_was_asked_for() {
        let identity: SpiffeId = "spiffe://cluster.local/ns/shop/sa/orders".parse().unwrap();
        for (keys, algorithm) in
            [(CsrKeys::EcdsaP256, KeyAlgorithm::EcdsaP256), (CsrKeys::Rsa2048, KeyAlgorithm::Rsa)]
        {
            let csrs = keys.csrs(&identity, 1).unwrap();
            let csr = Csr::from_pem(&csrs[0]).unwrap();
            assert_eq!(csr.public_key().algorithm(), algorithm);
            assert_eq!(csr.requested_uris(), [identity.as_str()]);
        }
    }
}
