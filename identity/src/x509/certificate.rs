//! A certificate taken apart (RFC 5280 §4.1), borrowing from its DER.

use der::asn1::{AnyRef, BitStringRef, UintRef};
use der::{Decode, ErrorKind, Reader, SliceReader, Tag, TagNumber, Tagged};
use x509_cert::time::Time;

use crate::Validity;

use super::{Extensions, X509Error, parse_all};

/// A well-formed certificate of version 3. Nothing about it is proven.
#[derive(Debug)]
pub(crate) struct Certificate<'a> {
    /// What is signed, verbatim.
    pub(crate) tbs: &'a [u8],
    /// The AlgorithmIdentifier of the signature, the same inside and outside of `tbs`.
    pub(crate) algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
    /// Without leading zeros.
    pub(crate) serial: &'a [u8],
    /// A Name, verbatim.
    pub(crate) issuer: &'a [u8],
    pub(crate) validity: Validity,
    /// A Name, verbatim.
    pub(crate) subject: &'a [u8],
    /// A SubjectPublicKeyInfo, verbatim.
    pub(crate) spki: &'a [u8],
    pub(crate) extensions: Extensions<'a>,
}

impl<'a> Certificate<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> Result<Self, X509Error> {
        let (tbs, algorithm, signature) = parse_all(der, |reader| {
            reader.sequence(|reader| {
                let (tbs, algorithm) = (reader.tlv_bytes()?, reader.tlv_bytes()?);
                Ok::<_, der::Error>((tbs, algorithm, BitStringRef::decode(reader)?))
            })
        })?;
        let signature = signature.as_bytes().ok_or_else(|| value(Tag::BitString))?;
        let outside = Signature { algorithm, signature };
        parse_all(tbs, |reader| reader.sequence(|reader| Self::tbs(reader, tbs, outside)))
    }

    fn tbs(reader: &mut SliceReader<'a>, tbs: &'a [u8], outside: Signature<'a>) -> Result<Self, X509Error> {
        let version = AnyRef::decode(reader)?;
        if version.tag() != explicit(0) || version.value() != VERSION_3 {
            return Err(value(version.tag()).into());
        }
        let serial = UintRef::decode(reader)?.as_bytes();
        // The one inside is signed, the one outside is what verifiers use (RFC 5280 §4.1.1.2).
        if reader.tlv_bytes()? != outside.algorithm {
            return Err(value(Tag::ObjectIdentifier).into());
        }
        let issuer = reader.tlv_bytes()?;
        let validity = validity(reader)?;
        let (subject, spki) = (reader.tlv_bytes()?, reader.tlv_bytes()?);
        let mut extensions = Extensions::default();
        while !reader.is_finished() {
            let field = AnyRef::decode(reader)?;
            // Before the extensions may stand unique identifiers, which nobody uses (§4.1.2.8).
            if field.tag() == explicit(3) {
                extensions = parse_all(field.value(), Extensions::parse)?;
            }
        }
        let Signature { algorithm, signature } = outside;
        Ok(Self { tbs, algorithm, signature, serial, issuer, validity, subject, spki, extensions })
    }

    /// Has the subject no names in it?
    pub(crate) fn has_empty_subject(&self) -> bool {
        self.subject == EMPTY_NAME
    }
}

struct Signature<'a> {
    algorithm: &'a [u8],
    signature: &'a [u8],
}

/// A Name without any part.
pub(crate) const EMPTY_NAME: &[u8] = &[0x30, 0];
const VERSION_3: &[u8] = &[2, 1, 2];

const fn explicit(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

fn validity(reader: &mut SliceReader<'_>) -> der::Result<Validity> {
    let (not_before, not_after) =
        reader.sequence(|reader| Ok::<_, der::Error>((Time::decode(reader)?, Time::decode(reader)?)))?;
    Validity::new(not_before.to_system_time(), not_after.to_system_time()).map_err(|_| value(Tag::UtcTime))
}

fn value(tag: Tag) -> der::Error {
    ErrorKind::Value { tag }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::now;
    use crate::testing::TestAuthority;

    #[test]
    fn a_certificate_whose_outside_contradicts_its_inside_is_refused() {
        let root = TestAuthority::new("cluster.local", now()).certificate().der().to_vec();
        let ecdsa_sha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
        let positions: Vec<_> = (0..root.len() - 8).filter(|at| root[*at..at + 8] == ecdsa_sha256).collect();
        assert_eq!(positions.len(), 2, "the algorithm stands inside and outside");
        for at in positions {
            let mut contradicting = root.clone();
            contradicting[at + 7] = 3;
            assert!(matches!(Certificate::parse(&contradicting), Err(X509Error::Der(_))), "at {at}");
        }
    }

    #[test]
    fn only_version_3_is_read() {
        let mut root = TestAuthority::new("cluster.local", now()).certificate().der().to_vec();
        let version = [0xa0, 3, 2, 1, 2];
        let at = (0..root.len()).find(|at| root[*at..].starts_with(&version)).unwrap();
        assert!(Certificate::parse(&root).is_ok());
        root[at + 4] = 1;
        assert!(matches!(Certificate::parse(&root), Err(X509Error::Der(_))));
    }
}
