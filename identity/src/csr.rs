//! Certificate signing requests (PKCS #10, RFC 2986), as whoever signs must read them.
//!
//! Parsed by hand over `der`, because libraries that turn a CSR into a certificate copy what it asks for,
//! CA:TRUE included, and guess the key's algorithm from the signature's. Here the requested extensions are
//! looked at for their names only, the key is taken byte for byte, and possession is proven over the bytes
//! that were sent.

use der::asn1::{AnyRef, BitStringRef};
use der::oid::ObjectIdentifier;
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

use crate::x509::{AltName, Extensions, X509Error, oid, parse_all};
use crate::{PemError, PublicKey, PublicKeyError, SignatureAlgorithm, pem};

mod request;

pub use request::{CertificateRequest, RequestError, csr_pem};

/// A parsed and proven CSR.
///
/// Holding one means: the DER was well-formed, the key is of an allowed kind, and the requester showed
/// possession of the private key (RFC 2986 §4.2). It says nothing about whether the names may be issued:
/// that is [`approve`](crate::approve)'s to decide.
#[derive(Debug, Clone)]
pub struct Csr {
    der: Vec<u8>,
    key: PublicKey,
    uris: Vec<String>,
    other_names: Vec<String>,
}

impl Csr {
    /// From a text of at most [`MAX_CSR_PEM_BYTES`] that is exactly one PEM block `CERTIFICATE REQUEST` or
    /// `NEW CERTIFICATE REQUEST`.
    pub fn from_pem(text: &str) -> Result<Self, CsrError> {
        if text.len() > MAX_CSR_PEM_BYTES {
            return Err(CsrError::TooLong);
        }
        Self::parse(pem::only_block(text, LABELS).map_err(CsrError::NotOnePem)?)
    }

    /// From DER, with nothing after it, as long as what [`Self::from_pem`] could hold.
    pub fn from_der(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > MAX_CSR_PEM_BYTES {
            return Err(CsrError::TooLong);
        }
        Self::parse(der.to_vec())
    }

    fn parse(der: Vec<u8>) -> Result<Self, CsrError> {
        let signed = parse_all(&der, Signed::parse)?;
        let info = parse_all(signed.info, Info::parse)?;
        let key = PublicKey::from_spki(info.spki).map_err(CsrError::Key)?;
        let names = info.requested.alt_names()?;
        if names.len() > MAX_CSR_NAMES {
            return Err(CsrError::TooManyNames);
        }
        let algorithm = SignatureAlgorithm::from_der(signed.algorithm).ok_or(CsrError::SignatureAlgorithm)?;
        key.verify(algorithm, signed.info, signed.signature).map_err(CsrError::NotPossessed)?;
        let (mut uris, mut other_names) = (Vec::new(), Vec::new());
        for name in names {
            match name {
                AltName::Uri(uri) => uris.push(uri.to_owned()),
                other => other_names.push(other.to_string()),
            }
        }
        Ok(Self { key, uris, other_names, der })
    }

    /// The whole request, verbatim.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The key whose possession was proven.
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// The URI names asked for, verbatim and unchecked.
    pub fn requested_uris(&self) -> &[String] {
        &self.uris
    }

    /// All other names asked for, as `DNS:a.example`, to tell the operator about.
    pub fn other_requested_names(&self) -> &[String] {
        &self.other_names
    }
}

/// Why a CSR is refused, whoever sends it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Larger than any honest CSR: one for an RSA-4096 key has about 1,700 bytes.
    #[error("the CSR is longer than {MAX_CSR_PEM_BYTES} bytes")]
    TooLong,
    /// Not PEM, another kind of block, two blocks, or text around it.
    #[error("the CSR is not exactly one PEM block `CERTIFICATE REQUEST`")]
    NotOnePem(#[source] PemError),
    /// Not the DER of a CertificationRequest.
    #[error("the CSR is malformed")]
    Malformed(#[source] der::Error),
    /// A part that may stand once stands twice, so that two readers could see two requests.
    #[error("the CSR has {0} twice")]
    Duplicate(ObjectIdentifier),
    /// More than a reader should be made to compare.
    #[error("the CSR asks for too many extensions")]
    TooManyExtensions,
    /// More than anybody is granted.
    #[error("the CSR asks for more than {MAX_CSR_NAMES} names")]
    TooManyNames,
    /// The key is malformed or of a kind that is not certified.
    #[error("the CSR's key is refused")]
    Key(#[source] PublicKeyError),
    /// The request is signed by an algorithm that we do not verify.
    #[error(
        "the CSR is signed by an algorithm that is not accepted; use SHA-256 or SHA-384, or pure Ed25519"
    )]
    SignatureAlgorithm,
    /// The sender did not show that it holds the private key.
    #[error("the CSR is not signed by the key it names")]
    NotPossessed(#[source] PublicKeyError),
}

impl From<der::Error> for CsrError {
    fn from(error: der::Error) -> Self {
        Self::Malformed(error)
    }
}

impl From<X509Error> for CsrError {
    fn from(error: X509Error) -> Self {
        match error {
            X509Error::Der(error) => Self::Malformed(error),
            X509Error::Duplicate(id) => Self::Duplicate(id),
            X509Error::TooManyExtensions => Self::TooManyExtensions,
        }
    }
}

/// The most that a CSR's PEM may have.
pub const MAX_CSR_PEM_BYTES: usize = 16 * 1024;
/// The most names that a CSR may ask for, of all kinds together.
pub const MAX_CSR_NAMES: usize = 16;
/// The second is what Microsoft's tools write.
const LABELS: &[&str] = &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/// CertificationRequest (RFC 2986 §4.2), its parts verbatim.
struct Signed<'a> {
    info: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    fn parse(reader: &mut SliceReader<'a>) -> der::Result<Self> {
        reader.sequence(|reader| {
            let (info, algorithm) = (reader.tlv_bytes()?, reader.tlv_bytes()?);
            let signature = BitStringRef::decode(reader)?;
            let signature = signature.as_bytes().ok_or(der::ErrorKind::Value { tag: Tag::BitString })?;
            Ok(Self { info, algorithm, signature })
        })
    }
}

/// CertificationRequestInfo (RFC 2986 §4.1). The subject is ignored: names come from SANs alone.
struct Info<'a> {
    spki: &'a [u8],
    requested: Extensions<'a>,
}

impl<'a> Info<'a> {
    fn parse(reader: &mut SliceReader<'a>) -> Result<Self, CsrError> {
        reader.sequence(|reader| {
            if u8::decode(reader)? != 0 {
                return Err(der::Error::from(der::ErrorKind::Value { tag: Tag::Integer }).into());
            }
            AnyRef::decode(reader)?.tag().assert_eq(Tag::Sequence)?;
            let spki = reader.tlv_bytes()?;
            let attributes = AnyRef::decode(reader)?;
            attributes.tag().assert_eq(ATTRIBUTES)?;
            Ok(Self { spki, requested: requested_extensions(attributes.value())? })
        })
    }
}

const ATTRIBUTES: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };

/// The one extensionRequest (RFC 2985 §5.4.2) among the attributes; no extensions if there is none.
fn requested_extensions(attributes: &[u8]) -> Result<Extensions<'_>, CsrError> {
    let mut reader = SliceReader::new(attributes)?;
    let mut requested = None;
    while !reader.is_finished() {
        let (id, values) = reader.sequence(|attribute| {
            let id = ObjectIdentifier::decode(attribute)?;
            let values = AnyRef::decode(attribute)?;
            values.tag().assert_eq(Tag::Set)?;
            Ok::<_, der::Error>((id, values.value()))
        })?;
        if id != oid::EXTENSION_REQUEST {
            continue;
        }
        if requested.replace(parse_all(values, Extensions::parse)?).is_some() {
            return Err(CsrError::Duplicate(id));
        }
    }
    Ok(requested.unwrap_or_default())
}

#[cfg(test)]
mod tests;
