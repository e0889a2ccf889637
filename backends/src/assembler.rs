//! The issuer that assembles: template, to-be-signed bytes, signature, certificate.

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use rustls_pki_types::CertificateDer;
use signet_identity::{Approved, CaCertificate, LeafTemplate, TemplateError};
use tokio::time::Instant;

use crate::{Issuer, IssuerError, Signer};

/// Lays leaves out under one signing certificate and has a [`Signer`] sign them.
///
/// That the signer holds the certificate's key is not known here; whoever builds an authority proves it with
/// a throw-away SVID.
pub struct Assembler {
    signer: Arc<dyn Signer>,
    certificate: CaCertificate,
    intermediates: Vec<CertificateDer<'static>>,
}

impl Assembler {
    /// `certificate` belongs to the signer's key. `intermediates` are what peers need between a leaf and the
    /// root, in that order: empty when `certificate` is the root, else it begins with `certificate` itself.
    pub fn new(
        signer: Arc<dyn Signer>,
        certificate: CaCertificate,
        intermediates: Vec<CertificateDer<'static>>,
    ) -> Self {
        Self { signer, certificate, intermediates }
    }

    /// The certificate that signs.
    pub fn certificate(&self) -> &CaCertificate {
        &self.certificate
    }

    fn no_template(&self, error: TemplateError) -> IssuerError {
        match error {
            TemplateError::Validity(source) => {
                IssuerError::AuthorityNotValid { key_id: self.certificate.key_id(), source }
            }
            error => IssuerError::Template(error),
        }
    }
}

#[async_trait]
impl Issuer for Assembler {
    async fn issue(
        &self,
        approved: &Approved,
        now: SystemTime,
        _deadline: Instant,
    ) -> Result<Vec<CertificateDer<'static>>, IssuerError> {
        let template = LeafTemplate::new(approved, &self.certificate, self.signer.algorithm(), now)
            .map_err(|error| self.no_template(error))?;
        let signature = self.signer.sign(template.to_be_signed()).await?;
        let mut chain = Vec::with_capacity(1 + self.intermediates.len());
        chain.push(template.assemble(&signature).map_err(IssuerError::Template)?);
        chain.extend(self.intermediates.iter().cloned());
        Ok(chain)
    }
}
