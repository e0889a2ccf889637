//! A CSR laid out part by part (RFC 2986 §4), so that each part can be what it should not be.

use anyhow::Result;
use der::asn1::{AnyRef, BitStringRef, OctetStringRef};
use der::oid::ObjectIdentifier;
use der::{Encode, Tag, TagNumber};

use super::key::Key;

/// What stands in a CSR.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// 0 is the only one there is.
    pub(super) version: u8,
    pub(super) names: Vec<Name>,
    /// Besides the names; each in DER, as [`extension`] makes it.
    pub(super) extensions: Vec<Vec<u8>>,
    /// How often the extension with the names stands there.
    pub(super) times_named: usize,
}

/// A SAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Uri(String),
    Dns(String),
}

impl Draft {
    /// As it should be: one URI, and nothing else.
    pub(super) fn of(uri: &str) -> Self {
        Self { version: 0, names: vec![Name::Uri(uri.to_owned())], extensions: vec![], times_named: 1 }
    }

    /// What is signed, for this key.
    pub(super) fn info(&self, spki: &[u8]) -> Result<Vec<u8>> {
        let mut extensions = vec![];
        if !self.names.is_empty() {
            let names = self.names.iter().map(Name::der).collect::<Result<Vec<_>>>()?.concat();
            let names = extension(SUBJECT_ALT_NAME, Critical::Yes, &element(Tag::Sequence, &names)?)?;
            extensions.extend(std::iter::repeat_n(names, self.times_named));
        }
        extensions.extend(self.extensions.iter().cloned());
        let requested = element(Tag::Set, &element(Tag::Sequence, &extensions.concat())?)?;
        let attribute = element(Tag::Sequence, &[EXTENSION_REQUEST.to_der()?, requested].concat())?;
        let (version, subject) = (self.version.to_der()?, element(Tag::Sequence, &[])?);
        let attributes = element(context(0, Shape::Constructed), &attribute)?;
        element(Tag::Sequence, &[&version[..], &subject, spki, &attributes].concat())
    }
}

/// The whole of it: what is signed, by which algorithm, and the signature.
pub(super) fn signed(info: &[u8], key: &Key, signature: &[u8]) -> Result<Vec<u8>> {
    let signature = BitStringRef::from_bytes(signature)?.to_der()?;
    element(Tag::Sequence, &[info, key.algorithm().der(), &signature].concat())
}

/// Whether an extension must be understood.
#[derive(Debug, Clone, Copy)]
pub(super) enum Critical {
    Yes,
    No,
}

/// One extension (RFC 5280 §4.1).
pub(super) fn extension(id: ObjectIdentifier, critical: Critical, value: &[u8]) -> Result<Vec<u8>> {
    let critical = match critical {
        Critical::Yes => true.to_der()?,
        Critical::No => vec![],
    };
    let value = OctetStringRef::new(value)?.to_der()?;
    element(Tag::Sequence, &[id.to_der()?, critical, value].concat())
}

impl Name {
    fn der(&self) -> Result<Vec<u8>> {
        match self {
            Self::Uri(uri) => element(context(6, Shape::Primitive), uri.as_bytes()),
            Self::Dns(name) => element(context(2, Shape::Primitive), name.as_bytes()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Primitive,
    Constructed,
}

fn context(number: u32, shape: Shape) -> Tag {
    Tag::ContextSpecific { constructed: shape == Shape::Constructed, number: TagNumber(number) }
}

fn element(tag: Tag, content: &[u8]) -> Result<Vec<u8>> {
    Ok(AnyRef::new(tag, content)?.to_der()?)
}

const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
