//! The name of one request, in its answer, in the log and, at the CA, in the audit.

use std::{fmt, fmt::Write};

use tonic::metadata::{AsciiMetadataValue, MetadataMap};

/// 128 random bits in lower-case hex: unique over all processes, and no secret. That is why they are not asked of the
/// system's generator, which takes a hundredth of an issuance to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// A new one.
    pub fn random() -> Self {
        let mut text = String::with_capacity(32);
        let _infallible = write!(text, "{:032x}", fastrand::u128(..));
        Self(text)
    }

    /// What a caller is told, with the name of its request at the end: proxies log nothing but the text.
    pub fn named(&self, text: &str) -> String {
        format!("{text} (request {self})")
    }

    /// Says the name under `key` too, for clients that read it.
    pub fn add_to(&self, metadata: &mut MetadataMap, key: &'static str) {
        if let Ok(value) = AsciiMetadataValue::try_from(self.as_str()) {
            metadata.insert(key, value);
        }
    }

    /// The hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_32_hex_digits_and_never_the_same() {
        let ids: std::collections::HashSet<String> =
            (0..1000).map(|_| RequestId::random().as_str().to_owned()).collect();

        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())));
    }
}
