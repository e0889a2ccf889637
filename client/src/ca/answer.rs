//! What the CA's answer means: layouts of the chain from Istio 1.1 to today, roots, and refusals.

use std::{str::FromStr, time::Duration};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use signet_identity::{BundleVersion, TrustBundle, TrustDomain};
use signet_proto::{
    metadata::{BUNDLE_EPOCH, BUNDLE_SEQUENCE, REQUEST_ID},
    signet::v1::GetTrustBundleResponse,
};
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::StatusExt;

use super::{AnswerFault, CaError, Issued, Outage, Refusal};

/// Reads leaf, intermediates and roots from `cert_chain`: the last element is all roots, every other one or
/// more certificates (Istio 1.1 sent all intermediates in one element, today's CAs one in each).
pub(crate) fn issued(
    elements: &[String],
    metadata: &MetadataMap,
    trust_domain: TrustDomain,
) -> Result<Issued, AnswerFault> {
    let count = elements.len();
    let (roots, chain) = match elements.split_last() {
        Some(parts) if (MIN_ELEMENTS..=MAX_ELEMENTS).contains(&count) => parts,
        _ => return Err(AnswerFault::Elements { count, min: MIN_ELEMENTS, max: MAX_ELEMENTS }),
    };
    let mut certificates = Vec::with_capacity(chain.len());
    for (index, element) in chain.iter().enumerate() {
        certificates.extend(parse(element).ok_or(AnswerFault::NotCertificates { index })?);
    }
    if certificates.len() > MAX_ELEMENTS {
        return Err(AnswerFault::Elements {
            count: certificates.len(),
            min: MIN_ELEMENTS,
            max: MAX_ELEMENTS,
        });
    }
    let bundle =
        TrustBundle::from_pem(trust_domain, roots, version(metadata)).map_err(AnswerFault::Bundle)?;
    Ok(Issued { chain: certificates, bundle })
}

/// Reads the roots that came without a certificate.
pub(crate) fn bundle(
    answer: GetTrustBundleResponse,
    wanted: &TrustDomain,
) -> Result<TrustBundle, AnswerFault> {
    let GetTrustBundleResponse { trust_domain, x509_authorities, epoch, sequence } = answer;
    if trust_domain != wanted.as_str() {
        return Err(AnswerFault::TrustDomain { told: cut(&trust_domain), wanted: wanted.clone() });
    }
    let authorities = x509_authorities.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
    let version = (epoch > 0).then_some(BundleVersion { epoch, sequence });
    TrustBundle::new(wanted.clone(), authorities, version).map_err(AnswerFault::Bundle)
}

/// At least one, all of them whole.
fn parse(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().ok()?;
    (!certificates.is_empty()).then_some(certificates)
}

/// Only if the CA sends both numbers: half a version orders nothing.
fn version(metadata: &MetadataMap) -> Option<BundleVersion> {
    Some(BundleVersion {
        epoch: number(metadata, BUNDLE_EPOCH)?,
        sequence: number(metadata, BUNDLE_SEQUENCE)?,
    })
}

fn number(metadata: &MetadataMap, key: &str) -> Option<u64> {
    u64::from_str(metadata.get(key)?.to_str().ok()?).ok()
}

/// Sorts a status that the CA sent by what the caller can do about it.
pub(crate) fn refused(status: &Status) -> CaError {
    let refusal = refusal(status);
    match refusal.code {
        Code::Unauthenticated => CaError::TokenRefused(refusal),
        Code::PermissionDenied | Code::InvalidArgument => CaError::Denied(refusal),
        Code::ResourceExhausted => CaError::Overloaded(refusal),
        _ => CaError::Unavailable(Outage::Answered(refusal)),
    }
}

fn refusal(status: &Status) -> Refusal {
    let request_id = status.metadata().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    Refusal {
        code: status.code(),
        message: cut(status.message()),
        request_id: request_id.map(cut),
        retry_after: retry_after(status),
    }
}

/// `google.rpc.RetryInfo`, held to [`LONGEST_RETRY_AFTER`]: a CA may not silence an agent for good.
fn retry_after(status: &Status) -> Option<Duration> {
    let delay = status.get_details_retry_info()?.retry_delay?;
    Some(delay.min(LONGEST_RETRY_AFTER))
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_MESSAGE_CHARACTERS).collect()
}

/// A leaf and the roots.
const MIN_ELEMENTS: usize = 2;
/// No verifier follows longer chains: webpki stops after 6 intermediates.
const MAX_ELEMENTS: usize = 10;
const MAX_MESSAGE_CHARACTERS: usize = 256;
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;
