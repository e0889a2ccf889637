//! A workload that asks the CA for certificates by itself, without a node agent.

use std::time::Duration;

use anyhow::{Context, Result};
use signet::stage::{Ca, TokenIssuer, trust_domain};
use signet_client::{CaClient, CaError, Issued, IstioCa, Token};
use signet_identity::{
    CertificateRequest, Clock, Expected, PrivateKey, SpiffeId, SvidError, TrustBundle, X509Svid,
};
use signet_runtime::SystemClock;

/// Long enough for any test.
const TOKEN_LIFETIME: Duration = Duration::from_secs(600);

/// A workload before a CA, with one key and one CSR for it, so that asking costs next to nothing.
#[derive(Debug)]
pub struct Requester {
    ca: IstioCa,
    token: Token,
    identity: SpiffeId,
    key: PrivateKey,
    csr: String,
}

impl Requester {
    /// The service account `shop/frontend`.
    pub fn before(ca: &Ca, issuer: &TokenIssuer) -> Result<Self> {
        let identity = SpiffeId::workload(&trust_domain()?, "shop", "frontend")?;
        let key = PrivateKey::generate()?;
        let csr = CertificateRequest::pem(&key, &identity)?;
        let token = Token::new(&issuer.mint("frontend", TOKEN_LIFETIME)?)?;
        Ok(Self { ca: IstioCa::new(ca.endpoint()?)?, token, identity, key, csr })
    }

    /// Asks for a certificate.
    pub async fn ask(&self) -> Result<Issued, CaError> {
        self.ca.issue(&self.token, &self.csr, None).await
    }

    /// Asks for the roots alone.
    pub async fn bundle(&self) -> Result<TrustBundle> {
        self.ca.trust_bundle().await?.context("the CA does not tell its roots alone")
    }

    /// Verifies an answer in full, under the bundle that came with it.
    pub fn verify(&self, issued: Issued) -> Result<X509Svid, SvidError> {
        self.verify_by(&issued, &issued.bundle)
    }

    /// The same, under a bundle that came otherwise.
    pub fn verify_by(&self, issued: &Issued, bundle: &TrustBundle) -> Result<X509Svid, SvidError> {
        let expected = Expected { identity: &self.identity, public_key: self.key.public_key() };
        X509Svid::verify(issued.chain.clone(), expected, bundle, SystemClock.now())
    }
}
