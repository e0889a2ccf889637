//! The layout of a leaf certificate.

use std::time::SystemTime;

use der::asn1::{AnyRef, BitStringRef, OctetStringRef, UintRef};
use der::oid::ObjectIdentifier;
use der::{Decode, Encode, Tag, TagNumber};
use rustls_pki_types::CertificateDer;
use x509_cert::time::Time;

use crate::x509::{EMPTY_NAME, Extension, KEY_IDENTIFIER, oid, random_serial};
use crate::{Approved, CaCertificate, KeyAlgorithm, SignatureAlgorithm, Validity, ValidityError};

/// The to-be-signed bytes of a leaf, waiting for its signature.
///
/// Laid out from what was [`Approved`] and from the issuer's certificate; of the CSR only the key comes in,
/// byte for byte. The profile: no subject; one critical URI SAN, and the DNS names that were granted; key
/// usage digitalSignature, with keyEncipherment for RSA alone; extended key usage serverAuth and
/// clientAuth; CA:FALSE; a serial of 128 random bits; never outliving the issuer.
#[derive(Debug)]
pub struct LeafTemplate {
    tbs: Vec<u8>,
    algorithm: SignatureAlgorithm,
}

impl LeafTemplate {
    /// Lays out the leaf that `issuer` is to sign by `algorithm`.
    pub fn new(
        approved: &Approved,
        issuer: &CaCertificate,
        algorithm: SignatureAlgorithm,
        now: SystemTime,
    ) -> Result<Self, TemplateError> {
        let validity = Validity::of_leaf(now, approved.lifetime(), issuer.validity())?;
        let serial = random_serial().map_err(|_| TemplateError::NoRandomness)?;
        let key_identifier = element(Tag::OctetString, &approved.public_key().key_identifier())?;
        let authority = vec![AnyRef::new(KEY_IDENTIFIER, issuer.key_identifier())?].to_der()?;
        let names = alt_names(approved)?;
        let tbs = Tbs {
            version: VERSION_3,
            serial: UintRef::new(&serial)?,
            algorithm: AnyRef::from_der(algorithm.der())?,
            issuer: AnyRef::from_der(issuer.subject())?,
            validity: Period {
                not_before: validity.not_before().try_into()?,
                not_after: validity.not_after().try_into()?,
            },
            subject: AnyRef::from_der(EMPTY_NAME)?,
            spki: AnyRef::from_der(approved.public_key().spki_der())?,
            extensions: vec![
                critical(oid::KEY_USAGE, key_usage(approved.public_key().algorithm()))?,
                plain(oid::EXTENDED_KEY_USAGE, SERVER_AND_CLIENT)?,
                critical(oid::BASIC_CONSTRAINTS, NOT_A_CA)?,
                plain(oid::SUBJECT_KEY_IDENTIFIER, &key_identifier)?,
                plain(oid::AUTHORITY_KEY_IDENTIFIER, &authority)?,
                critical(oid::SUBJECT_ALT_NAME, &names)?,
            ],
        };
        Ok(Self { tbs: tbs.to_der()?, algorithm })
    }

    /// What the issuer's key must sign.
    pub fn to_be_signed(&self) -> &[u8] {
        &self.tbs
    }

    /// The certificate, of the bytes that were signed and the signature over them.
    pub fn assemble(self, signature: &[u8]) -> Result<CertificateDer<'static>, TemplateError> {
        let certificate = Signed {
            tbs: AnyRef::from_der(&self.tbs)?,
            algorithm: AnyRef::from_der(self.algorithm.der())?,
            signature: BitStringRef::from_bytes(signature)?,
        };
        Ok(certificate.to_der()?.into())
    }
}

/// Why a leaf cannot be laid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The issuer's own certificate is over or not yet valid.
    #[error("the leaf cannot be given a validity")]
    Validity(#[from] ValidityError),
    /// The operating system's random number generator failed.
    #[error("the operating system gave no random numbers for a serial")]
    NoRandomness,
    /// What was checked before cannot be encoded: our fault.
    #[error("the leaf cannot be encoded; please report this")]
    Bug(#[from] der::Error),
}

/// TBSCertificate (RFC 5280 §4.1.2).
#[derive(der::Sequence)]
struct Tbs<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: u8,
    serial: UintRef<'a>,
    algorithm: AnyRef<'a>,
    issuer: AnyRef<'a>,
    validity: Period,
    subject: AnyRef<'a>,
    spki: AnyRef<'a>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension<'a>>,
}

#[derive(der::Sequence)]
struct Period {
    not_before: Time,
    not_after: Time,
}

#[derive(der::Sequence)]
struct Signed<'a> {
    tbs: AnyRef<'a>,
    algorithm: AnyRef<'a>,
    signature: BitStringRef<'a>,
}

const VERSION_3: u8 = 2;
/// ExtKeyUsageSyntax: serverAuth and clientAuth (rule X-17).
const SERVER_AND_CLIENT: &[u8] =
    &[0x30, 0x14, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2];
/// BasicConstraints: cA is FALSE by default.
const NOT_A_CA: &[u8] = &[0x30, 0];
const URI: Tag = Tag::ContextSpecific { constructed: false, number: TagNumber(6) };
const DNS: Tag = Tag::ContextSpecific { constructed: false, number: TagNumber(2) };

/// KeyUsage: keyEncipherment is for the key exchange of RSA, which no other key can do.
fn key_usage(algorithm: KeyAlgorithm) -> &'static [u8] {
    match algorithm {
        KeyAlgorithm::Rsa => &[3, 2, 5, 0xa0],
        KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384 | KeyAlgorithm::Ed25519 => &[3, 2, 7, 0x80],
    }
}

fn alt_names(approved: &Approved) -> der::Result<Vec<u8>> {
    let mut names = Vec::with_capacity(1 + approved.dns_names().len());
    names.push(AnyRef::new(URI, approved.identity().as_str().as_bytes())?);
    for name in approved.dns_names() {
        names.push(AnyRef::new(DNS, name.as_bytes())?);
    }
    names.to_der()
}

fn element(tag: Tag, value: &[u8]) -> der::Result<Vec<u8>> {
    AnyRef::new(tag, value)?.to_der()
}

fn critical(id: ObjectIdentifier, value: &[u8]) -> der::Result<Extension<'_>> {
    Ok(Extension { id, critical: true, value: OctetStringRef::new(value)? })
}

fn plain(id: ObjectIdentifier, value: &[u8]) -> der::Result<Extension<'_>> {
    Ok(Extension { id, critical: false, value: OctetStringRef::new(value)? })
}

#[cfg(test)]
mod tests;
