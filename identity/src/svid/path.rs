//! The path from a leaf to a trusted authority, by the validation that rustls peers use.

use std::time::{SystemTime, UNIX_EPOCH};

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext,
};

use crate::{TrustBundle, Validity};

use super::SvidError;

/// Is there a path from the first of `chain` to an authority of `bundle`, every certificate of it and the
/// authority itself valid `now`? When that authority is valid.
pub(super) fn verify(
    chain: &[CertificateDer<'static>],
    bundle: &TrustBundle,
    now: SystemTime,
) -> Result<Validity, SvidError> {
    let not_trusted = |source| SvidError::NotTrusted { trust_domain: bundle.trust_domain().clone(), source };
    let (leaf, intermediates) = chain.split_first().ok_or(SvidError::EmptyChain)?;
    // webpki takes a trust anchor for valid whenever; OpenSSL and BoringSSL do not.
    let anchors = bundle
        .iter()
        .filter(|(_, validity)| validity.contains(now))
        .map(|(authority, _)| webpki::anchor_from_trusted_cert(authority))
        .collect::<Result<Vec<_>, _>>()
        .map_err(not_trusted)?;
    let time = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
    let leaf = EndEntityCert::try_from(leaf).map_err(not_trusted)?;
    let path = leaf
        .verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, intermediates, time, BothEnds, None, None)
        .map_err(not_trusted)?;
    let is_end = |authority: &CertificateDer<'static>| {
        webpki::anchor_from_trusted_cert(authority).is_ok_and(|anchor| anchor == *path.anchor())
    };
    let valid = bundle.iter().filter(|(authority, validity)| validity.contains(now) && is_end(authority));
    // A root that was made anew for its old key is trusted as long as the last of its certificates.
    let longest = valid.map(|(_, validity)| *validity).max_by_key(Validity::not_after);
    longest.ok_or_else(|| not_trusted(webpki::Error::UnknownIssuer))
}

/// A proxy is a client and a server: whatever restricts its extended key usage must allow both.
struct BothEnds;

impl ExtendedKeyUsageValidator for BothEnds {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let present = purposes
            .map(|purpose| purpose.map(|purpose| purpose.to_decoded_oid()))
            .collect::<Result<Vec<_>, _>>()?;
        if present.is_empty() {
            return Ok(());
        }
        for (required, oid) in [
            (KeyUsage::server_auth(), KeyUsage::SERVER_AUTH_REPR),
            (KeyUsage::client_auth(), KeyUsage::CLIENT_AUTH_REPR),
        ] {
            if !present.iter().any(|purpose| purpose == oid) {
                let context = RequiredEkuNotFoundContext { required, present };
                return Err(webpki::Error::RequiredEkuNotFoundContext(context));
            }
        }
        Ok(())
    }
}
