//! The proof, made once, that what an authority signs will be accepted.

use std::sync::Arc;
use std::time::SystemTime;

use rustls_pki_types::CertificateDer;

use crate::x509::Certificate;
use crate::{CaCertificate, SignatureAlgorithm, TrustBundle, TrustDomain, Validity};

use super::{Expected, SvidError, X509Svid, path};

/// Proof that peers accept what an authority of this process signs: one throw-away SVID of it was verified
/// in full. The arithmetic of a signature is the dearest part of verifying; for signatures made here, by
/// the same key, it need not be done again for each leaf. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AuthorityProof(Arc<Proven>);

#[derive(Debug)]
struct Proven {
    trust_domain: TrustDomain,
    signer: CaCertificate,
    algorithm: SignatureAlgorithm,
    intermediates: Vec<CertificateDer<'static>>,
    /// When each certificate above the leaf is valid, the authority of the bundle included.
    path: Vec<Validity>,
}

impl AuthorityProof {
    /// From a throw-away SVID: it verifies in full under `bundle`, and `signer`'s key is what signed it.
    pub fn from_throw_away(
        chain: Vec<CertificateDer<'static>>,
        expected: Expected<'_>,
        signer: &CaCertificate,
        bundle: &TrustBundle,
        now: SystemTime,
    ) -> Result<Self, SvidError> {
        let svid = X509Svid::verify(chain, expected, bundle, now)?;
        let (leaf, intermediates) = svid.chain().split_first().ok_or(SvidError::EmptyChain)?;
        let leaf = Certificate::parse(leaf)?;
        let algorithm = SignatureAlgorithm::from_der(leaf.algorithm)
            .ok_or(SvidError::NotOfTheAuthority("signature algorithm"))?;
        signer
            .public_key()
            .verify(algorithm, leaf.tbs, leaf.signature)
            .map_err(|_| SvidError::NotOfTheAuthority("signature"))?;
        let mut path = vec![path::verify(svid.chain(), bundle, now)?];
        for intermediate in intermediates {
            path.push(Certificate::parse(intermediate)?.validity);
        }
        let proof = Self(Arc::new(Proven {
            trust_domain: bundle.trust_domain().clone(),
            signer: signer.clone(),
            algorithm,
            intermediates: intermediates.to_vec(),
            path,
        }));
        proof.check(&leaf, svid.chain(), now)?;
        Ok(proof)
    }

    pub(super) fn trust_domain(&self) -> &TrustDomain {
        &self.0.trust_domain
    }

    /// Is `leaf` one that the authority would have signed, above it the proven chain, all of it valid `now`?
    pub(super) fn check(
        &self,
        leaf: &Certificate<'_>,
        chain: &[CertificateDer<'static>],
        now: SystemTime,
    ) -> Result<(), SvidError> {
        let proven = &*self.0;
        let differs = SvidError::NotOfTheAuthority;
        if leaf.issuer != proven.signer.subject() {
            return Err(differs("issuer"));
        }
        if leaf.extensions.authority_key_identifier()? != Some(proven.signer.key_identifier()) {
            return Err(differs("authorityKeyIdentifier"));
        }
        if leaf.algorithm != proven.algorithm.der() {
            return Err(differs("signature algorithm"));
        }
        if !leaf.validity.is_within(&proven.signer.validity()) {
            return Err(differs("validity"));
        }
        if chain.get(1..) != Some(&proven.intermediates[..]) {
            return Err(differs("chain"));
        }
        if !proven.path.iter().all(|validity| validity.contains(now)) {
            return Err(SvidError::PathOver);
        }
        Ok(())
    }
}
