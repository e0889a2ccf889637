//! What a certificate says of itself, for people to read.

use std::fmt;

use der::Decode;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage};
use x509_cert::name::Name;

use crate::hex::hex;
use crate::x509::{AltName, Certificate, X509Error, oid};
use crate::{PublicKey, PublicKeyError, Validity};

/// What stands in a well-formed certificate. Nothing of it is proven: this is for showing whose certificate
/// it is, and what is new in it, never for deciding whether to trust it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSummary {
    serial: String,
    issuer: String,
    subject: String,
    uris: Vec<String>,
    other_names: Vec<String>,
    validity: Validity,
    spki: Vec<u8>,
    is_ca: bool,
    path_len: Option<u8>,
    for_servers: bool,
}

impl CertificateSummary {
    /// Reads one certificate.
    ///
    /// # Errors
    /// It is not well-formed.
    pub fn of(der: &[u8]) -> Result<Self, X509Error> {
        let certificate = Certificate::parse(der)?;
        let names = certificate.extensions.alt_names()?;
        let constraints = certificate.extensions.decode::<BasicConstraints>(oid::BASIC_CONSTRAINTS)?;
        let uses = certificate.extensions.decode::<ExtendedKeyUsage>(oid::EXTENDED_KEY_USAGE)?;
        let uri = |name: &AltName<'_>| match name {
            AltName::Uri(uri) => Some(uri.escape_debug().to_string()),
            _ => None,
        };
        Ok(Self {
            serial: hex(certificate.serial),
            issuer: name(certificate.issuer)?,
            subject: name(certificate.subject)?,
            uris: names.iter().filter_map(uri).collect(),
            other_names: names.iter().filter(|name| uri(name).is_none()).map(ToString::to_string).collect(),
            validity: certificate.validity,
            spki: certificate.spki.to_vec(),
            is_ca: constraints.as_ref().is_some_and(|constraints| constraints.ca),
            path_len: constraints.and_then(|constraints| constraints.path_len_constraint),
            for_servers: uses.is_none_or(|ExtendedKeyUsage(uses)| uses.contains(&oid::SERVER_AUTH)),
        })
    }

    /// Its serial number in lower-case hex, without leading zero bytes.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Who is said to have signed it, as RFC 4514 writes names.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its subject, as RFC 4514 writes names; empty in most leaves.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Its URI SANs: in an SVID one, its SPIFFE ID.
    pub fn uris(&self) -> &[String] {
        &self.uris
    }

    /// Its other names, as `DNS:a.example`.
    pub fn other_names(&self) -> &[String] {
        &self.other_names
    }

    /// From when to when it is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Its key as a SubjectPublicKeyInfo in DER, verbatim.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Whether basicConstraints say that it is a CA's.
    pub fn is_ca(&self) -> bool {
        self.is_ca
    }

    /// How many CA certificates may stand between it and a leaf (RFC 5280 §4.2.1.9). `None`: any number.
    pub fn path_len(&self) -> Option<u8> {
        self.path_len
    }

    /// Whether extendedKeyUsage lets a TLS server show it: it names serverAuth, or is absent.
    pub fn is_for_servers(&self) -> bool {
        self.for_servers
    }

    /// Its key, if it is of a kind that we verify.
    ///
    /// # Errors
    /// It is not, and why.
    pub fn public_key(&self) -> Result<PublicKey, PublicKeyError> {
        PublicKey::from_spki(&self.spki)
    }
}

/// `URI:spiffe://td/ns/a/sa/b, DNS:localhost, issued by O=td,CN=Signet 01ab`.
impl fmt::Display for CertificateSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for uri in &self.uris {
            write!(f, "URI:{uri}, ")?;
        }
        for name in &self.other_names {
            write!(f, "{name}, ")?;
        }
        if self.uris.is_empty() && self.other_names.is_empty() {
            match self.subject.as_str() {
                "" => f.write_str("no name, ")?,
                subject => write!(f, "{subject}, ")?,
            }
        }
        write!(f, "issued by {}", self.issuer)
    }
}

/// With what could garble a line escaped.
fn name(der: &[u8]) -> Result<String, X509Error> {
    Ok(Name::from_der(der)?.to_string().escape_debug().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::now;
    use crate::testing::TestAuthority;
    use crate::{PrivateKey, SpiffeId};

    #[test]
    fn a_leaf_is_described_by_its_names_and_its_issuer() {
        let authority = TestAuthority::new("td.test", now());
        let key = PrivateKey::generate().unwrap();
        let identity: SpiffeId = "spiffe://td.test/ns/a/sa/b".parse().unwrap();
        let chain = authority.leaf(key.public_key(), &identity, now()).sign();

        let leaf = CertificateSummary::of(&chain[0]).unwrap();
        let root = CertificateSummary::of(authority.certificate().der()).unwrap();

        assert_eq!(leaf.uris(), ["spiffe://td.test/ns/a/sa/b"]);
        assert_eq!(leaf.issuer(), root.subject());
        assert_eq!(leaf.public_key().as_ref(), Ok(key.public_key()));
        assert!(leaf.validity().contains(now()));
        assert!(root.is_ca() && !leaf.is_ca());
        assert!(leaf.is_for_servers());
        let shown = leaf.to_string();
        assert!(shown.starts_with("URI:spiffe://td.test/ns/a/sa/b, ") && shown.contains("CN="), "{shown}");
    }

    #[test]
    fn bytes_that_are_no_certificate_have_no_summary() {
        assert!(CertificateSummary::of(b"garbage").is_err());
    }
}
