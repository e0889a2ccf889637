//! What CSRs and certificates have in common (RFC 5280 §4), parsed without copying.

use der::asn1::{AnyRef, OctetStringRef};
use der::oid::ObjectIdentifier;
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};
use ring::rand::{SecureRandom, SystemRandom};

mod alt_name;
mod certificate;

pub(crate) use alt_name::AltName;
pub(crate) use certificate::{Certificate, EMPTY_NAME};

/// One extension of a certificate, or one that a CSR asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, der::Sequence)]
pub(crate) struct Extension<'a> {
    pub(crate) id: ObjectIdentifier,
    #[asn1(default = "not_critical")]
    pub(crate) critical: bool,
    pub(crate) value: &'a OctetStringRef,
}

fn not_critical() -> bool {
    false
}

/// At most [`MAX_EXTENSIONS`] extensions of which none stands twice (RFC 5280 §4.2).
#[derive(Debug, Default)]
pub(crate) struct Extensions<'a>(Vec<Extension<'a>>);

impl<'a> Extensions<'a> {
    /// From `SEQUENCE OF Extension`.
    pub(crate) fn parse(reader: &mut SliceReader<'a>) -> Result<Self, X509Error> {
        reader.sequence(|reader| {
            let mut extensions = Vec::with_capacity(8);
            while !reader.is_finished() {
                let extension = Extension::decode(reader)?;
                if extensions.len() == MAX_EXTENSIONS {
                    return Err(X509Error::TooManyExtensions);
                }
                if extensions.iter().any(|known: &Extension<'_>| known.id == extension.id) {
                    return Err(X509Error::Duplicate(extension.id));
                }
                extensions.push(extension);
            }
            Ok(Self(extensions))
        })
    }

    pub(crate) fn find(&self, id: ObjectIdentifier) -> Option<&Extension<'a>> {
        self.0.iter().find(|extension| extension.id == id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Extension<'a>> {
        self.0.iter()
    }

    /// The names of the subjectAltName; none if there is no such extension.
    pub(crate) fn alt_names(&self) -> der::Result<Vec<AltName<'a>>> {
        match self.find(oid::SUBJECT_ALT_NAME) {
            Some(extension) => alt_name::parse(extension.value.as_bytes()),
            None => Ok(Vec::new()),
        }
    }

    /// The value of an extension that is one DER element; `None` if there is no such extension.
    pub(crate) fn decode<T: Decode<'a, Error = der::Error>>(
        &self,
        id: ObjectIdentifier,
    ) -> der::Result<Option<T>> {
        self.find(id).map(|extension| T::from_der(extension.value.as_bytes())).transpose()
    }

    /// The keyIdentifier of the authorityKeyIdentifier (RFC 5280 §4.2.1.1), if there is one.
    pub(crate) fn authority_key_identifier(&self) -> der::Result<Option<&'a [u8]>> {
        let Some(AuthorityKeyIdentifier(fields)) = self.decode(oid::AUTHORITY_KEY_IDENTIFIER)? else {
            return Ok(None);
        };
        Ok(fields.iter().find(|field| field.tag() == KEY_IDENTIFIER).map(|field| field.value()))
    }
}

/// Its fields, all optional and tagged.
struct AuthorityKeyIdentifier<'a>(Vec<AnyRef<'a>>);

impl<'a> Decode<'a> for AuthorityKeyIdentifier<'a> {
    type Error = der::Error;

    fn decode<R: Reader<'a>>(reader: &mut R) -> der::Result<Self> {
        Vec::decode(reader).map(Self)
    }
}

/// `[0] IMPLICIT KeyIdentifier`.
pub(crate) const KEY_IDENTIFIER: Tag = Tag::ContextSpecific { constructed: false, number: TagNumber(0) };

/// 128 random bits, read as a positive number: a serial that nobody can guess or repeat (RFC 5280
/// §4.1.2.2 allows 160, the CA/Browser Forum demands 64).
pub(crate) fn random_serial() -> Result<[u8; 16], ring::error::Unspecified> {
    let mut serial = [0; 16];
    SystemRandom::new().fill(&mut serial)?;
    Ok(serial)
}

/// Why bytes are not the certificate that they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum X509Error {
    /// Not DER, or not of the shape that RFC 5280 demands.
    #[error("it is not well-formed")]
    Der(#[source] der::Error),
    /// An extension stands twice, so that two readers could see two certificates (RFC 5280 §4.2).
    #[error("it has the extension {0} twice")]
    Duplicate(ObjectIdentifier),
    /// Each is compared with all before it, so their number must be bounded.
    #[error("it has more than {MAX_EXTENSIONS} extensions")]
    TooManyExtensions,
}

/// The most extensions of a certificate or a CSR. Real ones have about ten.
const MAX_EXTENSIONS: usize = 32;

impl From<der::Error> for X509Error {
    fn from(error: der::Error) -> Self {
        Self::Der(error)
    }
}

/// Reads `der` as one element that `read` consumes, with nothing after it.
pub(crate) fn parse_all<'a, T, E: From<der::Error>>(
    der: &'a [u8],
    read: impl FnOnce(&mut SliceReader<'a>) -> Result<T, E>,
) -> Result<T, E> {
    let mut reader = SliceReader::new(der)?;
    let value = read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

/// Object identifiers of RFC 5280 and RFC 2985.
pub(crate) mod oid {
    use der::oid::ObjectIdentifier;

    pub(crate) const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
    pub(crate) const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
    pub(crate) const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
    pub(crate) const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
    pub(crate) const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
    pub(crate) const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
    pub(crate) const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
    pub(crate) const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
    pub(crate) const EXTENSION_REQUEST: ObjectIdentifier =
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
    pub(crate) const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::tlv;

    #[test]
    fn more_extensions_than_any_honest_certificate_has_are_refused() {
        let extensions = |count: usize| {
            let one = |number: usize| tlv(0x30, &[&[6, 3, 0x2a, 3, number as u8], &[4, 0]]);
            tlv(0x30, &[&(0..count).flat_map(one).collect::<Vec<_>>()])
        };
        assert!(parse_all(&extensions(MAX_EXTENSIONS), Extensions::parse).is_ok());
        let flood = extensions(MAX_EXTENSIONS + 1);
        let refusal = parse_all(&flood, Extensions::parse);
        assert!(matches!(refusal, Err(X509Error::TooManyExtensions)), "{refusal:?}");
    }

    #[test]
    fn an_extension_that_stands_twice_is_refused() {
        let extension = tlv(0x30, &[&[6, 3, 0x55, 0x1d, 0x11], &[4, 2, 0x30, 0]]);
        let once = tlv(0x30, &[&extension]);
        let twice = tlv(0x30, &[&extension, &extension]);
        assert!(parse_all(&once, Extensions::parse).is_ok());
        let refusal = parse_all(&twice, Extensions::parse);
        assert!(matches!(refusal, Err(X509Error::Duplicate(oid::SUBJECT_ALT_NAME))), "{refusal:?}");
    }
}
