//! What CSRs and certificates have in common (RFC 5280 §4), parsed without copying.

use der::asn1::OctetStringRef;
use der::oid::ObjectIdentifier;
use der::{Decode, Reader, SliceReader};

mod alt_name;

pub(crate) use alt_name::AltName;

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

/// A set of extensions in which none stands twice (RFC 5280 §4.2).
#[derive(Debug, Default)]
pub(crate) struct Extensions<'a>(Vec<Extension<'a>>);

impl<'a> Extensions<'a> {
    /// From `SEQUENCE OF Extension`.
    pub(crate) fn parse(reader: &mut SliceReader<'a>) -> Result<Self, ExtensionsError> {
        reader.sequence(|reader| {
            let mut extensions = Vec::with_capacity(8);
            while !reader.is_finished() {
                let extension = Extension::decode(reader)?;
                if extensions.iter().any(|known: &Extension<'_>| known.id == extension.id) {
                    return Err(ExtensionsError::Duplicate(extension.id));
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
}

/// Why a set of extensions cannot be read.
#[derive(Debug)]
pub(crate) enum ExtensionsError {
    Der(der::Error),
    Duplicate(ObjectIdentifier),
}

impl From<der::Error> for ExtensionsError {
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

    pub(crate) const EXTENSION_REQUEST: ObjectIdentifier =
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
    pub(crate) const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::tlv;

    #[test]
    fn an_extension_that_stands_twice_is_refused() {
        let extension = tlv(0x30, &[&[6, 3, 0x55, 0x1d, 0x11], &[4, 2, 0x30, 0]]);
        let once = tlv(0x30, &[&extension]);
        let twice = tlv(0x30, &[&extension, &extension]);
        assert!(parse_all(&once, Extensions::parse).is_ok());
        let refusal = parse_all(&twice, Extensions::parse);
        assert!(matches!(refusal, Err(ExtensionsError::Duplicate(oid::SUBJECT_ALT_NAME))), "{refusal:?}");
    }
}
