//! A workload that asks the CA for certificates by itself, without a node agent.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use signet::stage::{Ca, TokenIssuer, trust_domain};
use signet_client::{CaClient, IstioCa, Token};
use signet_identity::{CertificateRequest, Clock, Expected, PrivateKey, SpiffeId, X509Svid};
use signet_runtime::SystemClock;

/// Long enough for any test.
const TOKEN_LIFETIME: Duration = Duration::from_secs(600);

/// A workload before a CA.
#[derive(Debug, Clone)]
pub struct Requester {
    ca: Arc<IstioCa>,
    token: Token,
    identity: SpiffeId,
}

impl Requester {
    /// The service account `shop/frontend`.
    pub fn before(ca: &Ca, issuer: &TokenIssuer) -> Result<Self> {
        Ok(Self {
            ca: Arc::new(IstioCa::new(ca.endpoint()?)?),
            token: Token::new(&issuer.mint("frontend", TOKEN_LIFETIME)?)?,
            identity: SpiffeId::workload(&trust_domain()?, "shop", "frontend")?,
        })
    }

    /// A certificate for a new key, verified in full under the bundle that came with it.
    pub async fn request(&self) -> Result<X509Svid> {
        let key = PrivateKey::generate()?;
        let csr = CertificateRequest::pem(&key, &self.identity)?;
        let issued = self.ca.issue(&self.token, &csr, None).await?;
        let expected = Expected { identity: &self.identity, public_key: key.public_key() };
        X509Svid::verify(issued.chain, expected, &issued.bundle, SystemClock.now())
            .context("it does not verify")
    }
}
