//! Words that certificates and CSRs share.

use std::fmt;

use der::oid::ObjectIdentifier;
use signet_identity::PublicKey;

/// A field and its value.
pub(crate) fn line(f: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    writeln!(f, "  {name:<12} {value}")
}

/// As `ECDSA P-256`, or the identifier of what is not accepted here.
pub(crate) fn key(spki: &[u8], id: ObjectIdentifier) -> String {
    match PublicKey::from_spki(spki) {
        Ok(key) => key.algorithm().to_string(),
        Err(fault) => format!("{id}: {fault}"),
    }
}

/// Its name, or its identifier.
pub(crate) fn algorithm(id: ObjectIdentifier) -> String {
    match id.to_string().as_str() {
        "1.2.840.10045.4.3.2" => "ECDSA with SHA-256".to_owned(),
        "1.2.840.10045.4.3.3" => "ECDSA with SHA-384".to_owned(),
        "1.2.840.10045.4.3.4" => "ECDSA with SHA-512".to_owned(),
        "1.2.840.113549.1.1.5" => "RSA with SHA-1".to_owned(),
        "1.2.840.113549.1.1.10" => "RSA-PSS".to_owned(),
        "1.2.840.113549.1.1.11" => "RSA with SHA-256".to_owned(),
        "1.2.840.113549.1.1.12" => "RSA with SHA-384".to_owned(),
        "1.2.840.113549.1.1.13" => "RSA with SHA-512".to_owned(),
        "1.3.101.112" => "Ed25519".to_owned(),
        other => other.to_owned(),
    }
}

/// Lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// With what could garble a terminal escaped.
pub(crate) fn escaped(text: &impl ToString) -> String {
    text.to_string().escape_debug().to_string()
}
