//! X.509-SVIDs, checked as a peer will check them.

use std::time::SystemTime;

use rustls_pki_types::CertificateDer;

use crate::hex::hex;
use crate::x509::{Certificate, X509Error};
use crate::{PublicKey, SpiffeId, TrustBundle, TrustDomain, Validity, pem};

mod link;
mod path;
mod profile;
mod proof;
mod rules;

pub use link::{LinkError, verify_link};
pub use profile::{ProfileDifference, profile_differences};
pub use proof::AuthorityProof;
pub use rules::{BrokenRule, broken_rules};

/// The path alone, as peers follow it: the leaf, then its intermediates, up to an authority of `bundle`, all of them
/// valid `now`. Whose certificate it is, and whether it is an SVID, [`X509Svid::verify`] looks at.
pub fn verify_path(
    chain: &[CertificateDer<'static>],
    bundle: &TrustBundle,
    now: SystemTime,
) -> Result<(), SvidError> {
    path::verify(chain, bundle, now).map(drop)
}

/// A verified X.509-SVID with its chain. Whoever signed it, holding one means that the peers of `bundle`
/// accept it, for the identity and the key that were asked for.
#[derive(Debug, Clone)]
pub struct X509Svid {
    chain: Vec<CertificateDer<'static>>,
    identity: SpiffeId,
    validity: Validity,
    serial: Vec<u8>,
}

/// What the holder asked for, and must therefore have got.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The one URI SAN.
    pub identity: &'a SpiffeId,
    /// The certified key.
    pub public_key: &'a PublicKey,
}

impl X509Svid {
    /// The check that a peer makes, in full: the rules of X.509-SVID, name and key as expected, and a path
    /// of valid certificates and signatures to an authority of `bundle`, for both ends of TLS.
    ///
    /// `chain` is the leaf and then its intermediates. It is held to the rules of X.509-SVID, not to the
    /// profile of our own leaves: others may leave basicConstraints out, or add usages.
    pub fn verify(
        chain: Vec<CertificateDer<'static>>,
        expected: Expected<'_>,
        bundle: &TrustBundle,
        now: SystemTime,
    ) -> Result<Self, SvidError> {
        let leaf = Certificate::parse(first(&chain)?)?;
        check(&leaf, expected, bundle.trust_domain(), now)?;
        path::verify(&chain, bundle, now)?;
        let (validity, serial) = (leaf.validity, leaf.serial.to_vec());
        Ok(Self { chain, identity: expected.identity.clone(), validity, serial })
    }

    /// The same for a leaf that this process signed itself by a proven authority: every check but the
    /// arithmetic of its signature, and of the chain above it, for which `proof` stands.
    pub fn verify_signed_here(
        chain: Vec<CertificateDer<'static>>,
        expected: Expected<'_>,
        proof: &AuthorityProof,
        now: SystemTime,
    ) -> Result<Self, SvidError> {
        let leaf = Certificate::parse(first(&chain)?)?;
        check(&leaf, expected, proof.trust_domain(), now)?;
        proof.check(&leaf, &chain, now)?;
        let (validity, serial) = (leaf.validity, leaf.serial.to_vec());
        Ok(Self { chain, identity: expected.identity.clone(), validity, serial })
    }

    /// The leaf, then its intermediates.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// Who it is.
    pub fn identity(&self) -> &SpiffeId {
        &self.identity
    }

    /// From when to when the leaf is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The leaf's serial number in lower-case hex, without leading zero bytes.
    pub fn serial(&self) -> String {
        hex(&self.serial)
    }

    /// One PEM block a certificate, the leaf first.
    pub fn to_pem_elements(&self) -> Vec<String> {
        self.chain.iter().map(|certificate| pem::certificate_pem(certificate)).collect()
    }
}

/// Why a chain is not the SVID that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SvidError {
    /// There is no leaf.
    #[error("the certificate chain is empty")]
    EmptyChain,
    /// Longer than any path that a peer would follow.
    #[error("the certificate chain has more than {MAX_CHAIN} certificates")]
    LongChain,
    /// The leaf is not a certificate.
    #[error("the leaf certificate is malformed")]
    Malformed(#[source] X509Error),
    /// The leaf is no X.509-SVID.
    #[error(transparent)]
    Rule(#[from] BrokenRule),
    /// Somebody else's certificate.
    #[error("the certificate is for {found:?}, not for {expected}; the signer did not honour the request")]
    WrongIdentity {
        /// Its URI SAN.
        found: String,
        /// The identity that was asked for.
        expected: SpiffeId,
    },
    /// A certificate for a key that its holder does not have.
    #[error("the certificate is for another key than the one of the request")]
    WrongKey,
    /// The bundle is not that of the identity's trust domain.
    #[error("an identity of {identity} cannot be verified by the bundle of trust domain {trust_domain}")]
    ForeignTrustDomain {
        /// The identity that was asked for.
        identity: SpiffeId,
        /// Whose bundle it is.
        trust_domain: TrustDomain,
    },
    /// The leaf begins later than now.
    #[error("the certificate is not yet valid; check the clocks of this machine and of the signer")]
    NotYetValid,
    /// The leaf has ended.
    #[error("the certificate has expired")]
    Expired,
    /// No path to an authority of the bundle.
    #[error("the certificate chain does not lead to a valid authority of the bundle of {trust_domain}")]
    NotTrusted {
        /// Whose bundle it is.
        trust_domain: TrustDomain,
        /// What the path validation of peers says.
        source: webpki::Error,
    },
    /// A certificate above the leaf, or the authority of the bundle, is not valid now.
    #[error(
        "the authority, or a certificate above it, is not valid now; give it a new one, or check the clock of this machine"
    )]
    PathOver,
    /// The leaf was not signed by the proven authority, or not as it was proven.
    #[error("the certificate's {0} is not that of the proven authority")]
    NotOfTheAuthority(&'static str),
}

impl From<X509Error> for SvidError {
    fn from(error: X509Error) -> Self {
        Self::Malformed(error)
    }
}

impl From<der::Error> for SvidError {
    fn from(error: der::Error) -> Self {
        Self::Malformed(error.into())
    }
}

/// The most certificates of a chain, the leaf included. webpki follows six intermediates.
pub const MAX_CHAIN: usize = 8;

fn first<'a>(chain: &'a [CertificateDer<'static>]) -> Result<&'a CertificateDer<'static>, SvidError> {
    if chain.len() > MAX_CHAIN {
        return Err(SvidError::LongChain);
    }
    chain.first().ok_or(SvidError::EmptyChain)
}

/// What can be checked of a leaf without knowing who signed it.
fn check(
    leaf: &Certificate<'_>,
    expected: Expected<'_>,
    trust_domain: &TrustDomain,
    now: SystemTime,
) -> Result<(), SvidError> {
    if expected.identity.path().is_empty() {
        return Err(BrokenRule::RootPath.into());
    }
    let uri = rules::check(leaf)?;
    if uri != expected.identity.as_str() {
        return Err(SvidError::WrongIdentity { found: uri.to_owned(), expected: expected.identity.clone() });
    }
    if leaf.spki != expected.public_key.spki_der() {
        return Err(SvidError::WrongKey);
    }
    if expected.identity.trust_domain() != trust_domain {
        let (identity, trust_domain) = (expected.identity.clone(), trust_domain.clone());
        return Err(SvidError::ForeignTrustDomain { identity, trust_domain });
    }
    if now < leaf.validity.not_before() {
        return Err(SvidError::NotYetValid);
    }
    if now > leaf.validity.not_after() {
        return Err(SvidError::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
