//! CSRs that are wrong on purpose, each in one way: any CA can be tested with them.

use anyhow::Result;
use clap::ValueEnum;
use der::oid::ObjectIdentifier;

use super::draft::{Critical, Draft, Name, extension, signed};
use super::key::{Key, Kind};

/// In which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Break {
    /// The signature is not that of the request: INVALID_ARGUMENT
    Signature,
    /// Signed by another key than the one in it: INVALID_ARGUMENT
    WrongKey,
    /// An RSA key of 1024 bits: INVALID_ARGUMENT
    WeakKey,
    /// Version 2 instead of 1: INVALID_ARGUMENT
    WrongVersion,
    /// A byte after its end: INVALID_ARGUMENT
    TrailingBytes,
    /// The names stand twice, so that two readers may see two requests: INVALID_ARGUMENT
    DuplicateExtension,
    /// Longer than any honest CSR, 20 kB: INVALID_ARGUMENT
    Huge,
    /// No name at all: PERMISSION_DENIED
    NoSan,
    /// A second SPIFFE ID: PERMISSION_DENIED
    TwoUris,
    /// A DNS name in place of the SPIFFE ID: PERMISSION_DENIED
    DnsOnly,
    /// A DNS name beside the SPIFFE ID: PERMISSION_DENIED, or the name is left out
    DnsBeside,
    /// The identity of somebody else: PERMISSION_DENIED
    OtherIdentity,
    /// A URI that is no SPIFFE ID: PERMISSION_DENIED
    NotSpiffe,
    /// The trust domain alone, which is the CA's own name: PERMISSION_DENIED
    NoPath,
    /// The trust domain in upper case: PERMISSION_DENIED
    UppercaseTrustDomain,
    /// A query after the SPIFFE ID: PERMISSION_DENIED
    WithQuery,
    /// A letter of the path written as %XX: PERMISSION_DENIED
    PercentEncoding,
    /// Asks to be a CA: issued, and nothing of it is in the certificate
    CaTrue,
    /// Asks for keyCertSign: issued, and nothing of it is in the certificate
    KeyCertSign,
}

impl Break {
    /// What a correct CA does: as it stands in the help.
    pub(super) fn expected(self) -> String {
        let value = self.to_possible_value();
        value.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }

    /// The key that it takes.
    pub(super) fn key(self, kind: Kind) -> Result<Key> {
        if self == Self::WeakKey { Key::weak() } else { Key::new(kind) }
    }

    /// A CSR that would be one for `uri`, if it were not for this.
    pub(super) fn csr(self, uri: &str, key: &Key) -> Result<Vec<u8>> {
        let info = self.draft(uri)?.info(&key.spki()?)?;
        let mut signature = match self {
            Self::WrongKey => Key::new(Kind::P256)?.sign(&info)?,
            _ => key.sign(&info)?,
        };
        if self == Self::Signature
            && let Some(last) = signature.last_mut()
        {
            *last ^= 1;
        }
        let mut csr = signed(&info, key, &signature)?;
        csr.extend((self == Self::TrailingBytes).then_some(0));
        Ok(csr)
    }

    /// Whether there is nothing to break in that way: a trust domain without letters, an identity without a path.
    pub(super) fn is_in_vain(self, uri: &str) -> bool {
        let named = self.draft(uri).map(|draft| draft.names).unwrap_or_default();
        matches!(self, Self::UppercaseTrustDomain | Self::NoPath) && named == [Name::Uri(uri.to_owned())]
    }

    fn draft(self, uri: &str) -> Result<Draft> {
        let mut draft = Draft::of(uri);
        let named = |name| Ok(Draft { names: vec![name], ..Draft::of(uri) });
        let trust_domain = uri.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        match self {
            Self::Signature | Self::WrongKey | Self::WeakKey | Self::TrailingBytes => {}
            Self::WrongVersion => draft.version = 1,
            Self::DuplicateExtension => draft.times_named = 2,
            Self::Huge => draft.extensions.push(extension(UNKNOWN, Critical::No, &[0; 20_000])?),
            Self::NoSan => draft.names.clear(),
            Self::TwoUris => draft.names.push(Name::Uri(format!("{uri}-too"))),
            Self::DnsOnly => return named(Name::Dns("orders.example".to_owned())),
            Self::DnsBeside => draft.names.push(Name::Dns("orders.example".to_owned())),
            Self::OtherIdentity => return named(Name::Uri(format!("{uri}-not"))),
            Self::NotSpiffe => return named(Name::Uri(uri.replacen("spiffe", "https", 1))),
            Self::NoPath => return named(Name::Uri(trust_domain)),
            Self::UppercaseTrustDomain => {
                return named(Name::Uri(uri.replacen(&trust_domain, &upper(&trust_domain), 1)));
            }
            Self::WithQuery => return named(Name::Uri(format!("{uri}?a=b"))),
            Self::PercentEncoding => return named(Name::Uri(percent_encoded(uri))),
            Self::CaTrue => {
                draft.extensions.push(extension(BASIC_CONSTRAINTS, Critical::Yes, &CA_TRUE)?);
            }
            Self::KeyCertSign => draft.extensions.push(extension(KEY_USAGE, Critical::Yes, &CERT_SIGN)?),
        }
        Ok(draft)
    }
}

fn upper(trust_domain: &str) -> String {
    trust_domain.to_uppercase().replacen("SPIFFE", "spiffe", 1)
}

/// With its last character as `%XX`.
fn percent_encoded(uri: &str) -> String {
    let mut uri = uri.to_owned();
    let last = uri.pop().unwrap_or('a');
    format!("{uri}%{:02X}", u32::from(last))
}

const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
/// Of a private arc that nobody knows.
const UNKNOWN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.1");
/// SEQUENCE { TRUE }.
const CA_TRUE: [u8; 5] = [0x30, 3, 1, 1, 0xff];
/// Bit 5.
const CERT_SIGN: [u8; 4] = [3, 2, 2, 4];
