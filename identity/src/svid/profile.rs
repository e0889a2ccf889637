//! How far a leaf is from the profile of our own.

use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

use crate::x509::{Certificate, X509Error, oid};

/// In what a leaf differs from what [`LeafTemplate`](crate::LeafTemplate) lays out. Peers accept it all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProfileDifference {
    /// An SVID's key signs handshakes, and does nothing else.
    #[error("its keyUsage allows more than digitalSignature")]
    KeyUsage,
    /// Some verifiers want to read that it is no CA's.
    #[error("it has no basicConstraints CA:FALSE")]
    NoBasicConstraints,
    /// The SPIFFE ID is the only name.
    #[error("it has a subject")]
    Subject,
}

/// Where the leaf differs from our own. Nobody is trusted or refused by this: it tells a person what to mend.
///
/// # Errors
/// It is not well-formed.
pub fn profile_differences(der: &[u8]) -> Result<Vec<ProfileDifference>, X509Error> {
    let leaf = Certificate::parse(der)?;
    let mut differences = Vec::new();
    let usage = leaf.extensions.decode::<KeyUsage>(oid::KEY_USAGE)?;
    if usage.is_some_and(|usage| {
        usage.non_repudiation()
            || usage.key_encipherment()
            || usage.data_encipherment()
            || usage.key_agreement()
    }) {
        differences.push(ProfileDifference::KeyUsage);
    }
    if leaf.extensions.decode::<BasicConstraints>(oid::BASIC_CONSTRAINTS)?.is_none() {
        differences.push(ProfileDifference::NoBasicConstraints);
    }
    if !leaf.has_empty_subject() {
        differences.push(ProfileDifference::Subject);
    }
    Ok(differences)
}
