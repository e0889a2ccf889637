//! The words of the field and the one decision: may this caller have this certificate?
//!
//! No I/O and nothing asynchronous. Read in the order of a CSR's walk: [`jwt`] proves a token, [`Caller`]
//! says who that makes it, [`Csr`] what it asks for, [`approve`] decides, [`LeafTemplate`] lays out the
//! certificate, and [`X509Svid`] checks it as a peer will. Each of them is made only by its step, so that
//! holding one means that the step was taken.

mod bundle;
mod ca_certificate;
mod caller;
mod clock;
mod csr;
mod hex;
mod intermediate;
pub mod jwt;
mod key;
mod pem;
mod policy;
mod public_key;
mod signing_key;
mod spiffe_id;
mod summary;
mod svid;
mod template;
#[cfg(test)]
mod test_support;
#[cfg(any(test, feature = "testing"))]
#[allow(clippy::expect_used, reason = "a builder that fails has failed its test")]
pub mod testing;
mod validity;
mod x509;

pub use bundle::{BundleError, BundleVersion, MAX_AUTHORITIES, TrustBundle};
pub use ca_certificate::{CaCertificate, CaCertificateError};
pub use caller::{Caller, NotAServiceAccount};
pub use clock::Clock;
#[cfg(any(test, feature = "testing"))]
pub use clock::ManualClock;
pub use csr::{CertificateRequest, Csr, CsrError, MAX_CSR_NAMES, MAX_CSR_PEM_BYTES, RequestError, csr_pem};
pub use intermediate::{IntermediateFault, IntermediateRequest};
pub use jwt::Pod;
pub use key::{KeyError, PrivateKey};
pub use pem::{PemError, certificate_pem};
pub use policy::{Approved, Ask, AskedNames, Denied, IssuingPolicy, PolicyError, approve};
pub use public_key::{Fingerprint, KeyAlgorithm, PublicKey, PublicKeyError, SignatureAlgorithm};
pub use signing_key::{SigningKey, SigningKeyError};
pub use spiffe_id::{SpiffeId, SpiffeIdError, TrustDomain};
pub use summary::CertificateSummary;
pub use svid::{
    AuthorityProof, BrokenRule, Expected, LinkError, MAX_CHAIN, ProfileDifference, SvidError, X509Svid,
    broken_rules, profile_differences, verify_link, verify_path,
};
pub use template::{LeafTemplate, TemplateError};
pub use validity::{Validity, ValidityError};
pub use x509::X509Error;
