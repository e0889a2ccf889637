//! Whom the client takes for the CA: anchors, DNS name and, when it is known, the SPIFFE ID.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::{
        VerifierBuilderError, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use signet_identity::{CertificateSummary, SpiffeId};
use webpki::EndEntityCert;

use super::anchors::Anchors;

/// Accepts a server whose chain leads to the anchors, whose certificate has the DNS name and whose one URI
/// name is the expected SPIFFE ID.
///
/// The last point keeps a workload that was granted a DNS name, under the same root, from posing as the CA
/// and collecting tokens.
#[derive(Debug)]
pub(crate) struct PinnedServer {
    webpki: Arc<WebPkiServerVerifier>,
    spiffe_id: Option<SpiffeId>,
    /// The certificate that was not accepted.
    refused: OnceLock<CertificateSummary>,
}

impl PinnedServer {
    pub(crate) fn new(
        anchors: &Anchors,
        spiffe_id: Option<SpiffeId>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let webpki = WebPkiServerVerifier::builder_with_provider(anchors.roots(), provider).build()?;
        Ok(Self { webpki, spiffe_id, refused: OnceLock::new() })
    }

    /// What the server presented, if that is why there is no connection: whose certificate it was tells an operator
    /// which CA was reached, or which anchors are the wrong ones.
    pub(crate) fn refused(&self) -> Option<CertificateSummary> {
        self.refused.get().cloned()
    }

    fn check_identity(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let Some(expected) = &self.spiffe_id else { return Ok(()) };
        let certificate = EndEntityCert::try_from(certificate)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let names: Vec<&str> = certificate.valid_uri_names().collect();
        if names == [expected.as_str()] {
            return Ok(());
        }
        let found = names.join(", ");
        let wrong = WrongIdentity { expected: expected.clone(), found };
        Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(wrong)))))
    }
}

impl ServerCertVerifier for PinnedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let verified = verified.and_then(|verified| self.check_identity(end_entity).map(|()| verified));
        if verified.is_err()
            && let Ok(certificate) = CertificateSummary::of(end_entity)
        {
            // One verifier serves one connection, so there is none before it.
            let _first = self.refused.set(certificate);
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// The server has the CA's DNS name, and somebody else's identity.
#[derive(thiserror::Error)]
#[error(
    "the server's SPIFFE ID is `{found}` where {expected} was expected; if the CA is not Signet, set `ca.kind = \
     \"istio\"`, else somebody is posing as the CA"
)]
struct WrongIdentity {
    expected: SpiffeId,
    found: String,
}

/// What rustls shows of an error that is not its own.
impl fmt::Debug for WrongIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
