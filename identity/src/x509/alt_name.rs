//! The names in a subjectAltName (RFC 5280 §4.2.1.6).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use der::asn1::AnyRef;
use der::{Decode, ErrorKind, Reader, Tag};

use crate::hex::hex;

use super::parse_all;

/// One name. Prints as `DNS:a.example`, with what could garble a log line escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AltName<'a> {
    Uri(&'a str),
    Dns(&'a str),
    Email(&'a str),
    Ip(&'a [u8]),
    /// Another kind, by its tag number.
    Other(u32),
}

impl fmt::Display for AltName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(uri) => write!(f, "URI:{}", uri.escape_debug()),
            Self::Dns(name) => write!(f, "DNS:{}", name.escape_debug()),
            Self::Email(address) => write!(f, "email:{}", address.escape_debug()),
            Self::Ip(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
                (Ok(v4), _) => write!(f, "IP:{}", Ipv4Addr::from(v4)),
                (_, Ok(v6)) => write!(f, "IP:{}", Ipv6Addr::from(v6)),
                _ => write!(f, "IP:{}", hex(bytes)),
            },
            Self::Other(tag) => write!(f, "name of kind {tag}"),
        }
    }
}

/// The names of a `GeneralNames`.
pub(super) fn parse(general_names: &[u8]) -> der::Result<Vec<AltName<'_>>> {
    parse_all(general_names, |reader| {
        reader.sequence(|reader| {
            let mut names = Vec::new();
            while !reader.is_finished() {
                names.push(alt_name(AnyRef::decode(reader)?)?);
            }
            Ok(names)
        })
    })
}

fn alt_name(name: AnyRef<'_>) -> der::Result<AltName<'_>> {
    let tag = der::Tagged::tag(&name);
    let Tag::ContextSpecific { number, .. } = tag else {
        return Err(ErrorKind::TagUnexpected { expected: None, actual: tag }.into());
    };
    Ok(match number.value() {
        1 => AltName::Email(ia5(name)?),
        2 => AltName::Dns(ia5(name)?),
        6 => AltName::Uri(ia5(name)?),
        7 => AltName::Ip(name.value()),
        other => AltName::Other(other),
    })
}

/// An IA5String: ASCII.
fn ia5(name: AnyRef<'_>) -> der::Result<&str> {
    let text = std::str::from_utf8(name.value())?;
    if text.is_ascii() { Ok(text) } else { Err(ErrorKind::Value { tag: Tag::Ia5String }.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::tlv;

    #[test]
    fn each_kind_of_name_is_read_and_shown() {
        let table: [(&str, Vec<u8>, &str); 7] = [
            ("email", tlv(0x81, &[b"a@b"]), "email:a@b"),
            ("DNS", tlv(0x82, &[b"a.b"]), "DNS:a.b"),
            ("DNS with a line break", tlv(0x82, &[b"a\nb"]), "DNS:a\\nb"),
            ("URI", tlv(0x86, &[b"spiffe://a/b"]), "URI:spiffe://a/b"),
            ("IPv4", tlv(0x87, &[&[10, 0, 0, 1]]), "IP:10.0.0.1"),
            ("an address of no length", tlv(0x87, &[&[1, 2]]), "IP:0102"),
            ("directory name", tlv(0xa4, &[&[0x30, 0]]), "name of kind 4"),
        ];
        for (name, encoded, shown) in table {
            let sequence = tlv(0x30, &[&encoded]);
            let names = parse(&sequence).unwrap();
            assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), [shown], "{name}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (name, encoded) in [
            ("UTF-8 in a URI", tlv(0x86, &["spiffe://ä".as_bytes()])),
            ("not UTF-8", tlv(0x86, &[&[0xff]])),
            ("a universal tag", tlv(0x0c, &[b"a"])),
        ] {
            assert!(parse(&tlv(0x30, &[&encoded])).is_err(), "{name}");
        }
        assert!(parse(&[0x30, 0, 0]).is_err(), "a byte after the names");
    }
}
