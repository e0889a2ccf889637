//! A secret as it goes to proxies, encoded once per change of its content.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use prost::Message;
use prost_types::Any;
use signet_identity::{PrivateKey, TrustBundle, X509Svid};
use signet_proto::{
    SECRET_TYPE_URL,
    envoy::{
        config::core::v3::{DataSource, data_source::Specifier},
        extensions::transport_sockets::tls::v3::{
            CertificateValidationContext, Secret, TlsCertificate, secret,
        },
    },
};
use zeroize::Zeroizing;

/// A verified secret, ready to be sent.
///
/// Its version is a hash of the public content (chain, roots): it survives a restart of the agent and says
/// nothing of the key. The encoded bytes, private key included, are zeroised on drop; what the transport does
/// with the copy it is handed is beyond us.
pub(crate) struct PublishedSecret {
    version: Arc<str>,
    /// An `envoy...Secret` but for its name. Protobuf fields may be joined in any order, so one encoding serves
    /// every name the secret goes by.
    unnamed: Zeroizing<Vec<u8>>,
}

impl PublishedSecret {
    /// A certificate and its key. An [`X509Svid`] is verified by construction.
    pub(crate) fn certificate(svid: &X509Svid, key: &PrivateKey) -> Self {
        let chain = svid.to_pem_elements().concat();
        let certificate = TlsCertificate {
            certificate_chain: Some(inline(Bytes::from(chain))),
            private_key: Some(inline(Bytes::from_owner(Pem(key.to_pkcs8_pem())))),
        };
        Self::new(
            version_of(svid.chain().iter().map(AsRef::as_ref)),
            secret::Type::TlsCertificate(certificate),
        )
    }

    /// The roots of a trust domain.
    pub(crate) fn validation_context(bundle: &TrustBundle) -> Self {
        let context = CertificateValidationContext { trusted_ca: Some(inline(Bytes::from(bundle.to_pem()))) };
        Self::new(
            version_of(bundle.authorities().iter().map(AsRef::as_ref)),
            secret::Type::ValidationContext(context),
        )
    }

    fn new(version: Arc<str>, content: secret::Type) -> Self {
        let message = Secret { name: String::new(), r#type: Some(content) };
        // Reserved beforehand: a buffer that grows leaves copies of the key behind.
        let mut unnamed = Zeroizing::new(Vec::with_capacity(message.encoded_len()));
        message.encode_raw(&mut *unnamed);
        Self { version, unnamed }
    }

    /// Equal exactly when the public content is.
    pub(crate) fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// The resource under the name it was asked for.
    pub(crate) fn resource(&self, name: &str) -> Any {
        let named = Secret { name: name.to_owned(), r#type: None };
        let mut value = Vec::with_capacity(named.encoded_len() + self.unnamed.len());
        named.encode_raw(&mut value);
        value.extend_from_slice(&self.unnamed);
        Any { type_url: SECRET_TYPE_URL.to_owned(), value }
    }
}

impl fmt::Debug for PublishedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishedSecret").field("version", &self.version).finish_non_exhaustive()
    }
}

/// A PEM key that is zeroised when its last reader lets go.
struct Pem(Zeroizing<String>);

impl AsRef<[u8]> for Pem {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn inline(content: Bytes) -> DataSource {
    DataSource { specifier: Some(Specifier::InlineBytes(content)) }
}

/// 128 bits of SHA-256, in hex. Each part is preceded by its length, so that no two lists look alike.
pub(super) fn version_of<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Arc<str> {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finish().as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

#[cfg(test)]
impl PublishedSecret {
    /// Roots that are not certificates: enough for whoever looks at names and versions only.
    pub(crate) fn for_tests(content: &str) -> Arc<Self> {
        let context = CertificateValidationContext { trusted_ca: Some(inline(content.to_owned().into())) };
        let version = version_of(std::iter::once(content.as_bytes()));
        Arc::new(Self::new(version, secret::Type::ValidationContext(context)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_what_prost_would_have_encoded_under_that_name() {
        let published = PublishedSecret::for_tests("roots");
        for name in ["default", "spiffe://td.test/ns/a/sa/b"] {
            let any = published.resource(name);
            let decoded = Secret::decode(&*any.value).unwrap();
            assert_eq!(decoded.name, name);
            assert!(matches!(&decoded.r#type, Some(secret::Type::ValidationContext(context))
                if context.trusted_ca == Some(inline(Bytes::from_static(b"roots")))));
            assert_eq!(decoded.encode_to_vec(), any.value);
            assert_eq!(any.type_url, SECRET_TYPE_URL);
        }
    }

    #[test]
    fn a_version_tells_contents_apart_and_only_contents() {
        let version = |content| PublishedSecret::for_tests(content).version().clone();
        assert_eq!(version("a"), version("a"));
        assert_ne!(version("a"), version("b"));
        let [one, two] = [[&b"ab"[..], b"c"], [b"a", b"bc"]].map(|parts| version_of(parts.into_iter()));
        assert_ne!(one, two, "the parts count, not their concatenation");
    }
}
