//! One token issuer: its rules, its keys, and who a token of its makes the caller.

mod fetch;
mod keys;
mod source;

use std::{sync::Arc, time::Duration};

use signet_identity::{
    Caller, Clock, NotAServiceAccount, TrustDomain,
    jwt::{JwtError, Presented, TokenRules},
};

pub(crate) use self::keys::LoadFailure;
use self::keys::{KeySet, Keys};
pub use self::{
    fetch::{FetchError, Fetcher},
    keys::{DevelopmentKeys, KeysUnavailable, RefreshTimes, Refresher},
    source::{Source, SourceError, Transport},
};
use super::{AuthnError, cache::Proven};

/// What a token of one issuer must say, and where its keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerConfig {
    /// What tokens carry as `iss`, to the letter.
    pub issuer: String,
    /// A token must name one of them in `aud`.
    pub audiences: Vec<String>,
    /// How far the clocks of issuer and CA may differ. Added to `exp`, subtracted from `nbf`.
    pub leeway: Duration,
    /// Where its keys are.
    pub source: Source,
    /// When they are loaded anew.
    pub times: RefreshTimes,
}

/// An authenticator for the tokens of one issuer.
#[derive(Debug)]
pub(super) struct OidcIssuer {
    place: usize,
    rules: TokenRules,
    trust_domain: TrustDomain,
    keys: Keys,
}

/// Why a token is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// Malformed, wrongly signed, expired, for somebody else.
    #[error(transparent)]
    Token(#[from] JwtError),
    /// Proven, but no service account's.
    #[error(transparent)]
    Subject(#[from] NotAServiceAccount),
}

impl OidcIssuer {
    /// The authenticator of the issuer at this place of the configuration.
    pub(super) fn new(place: usize, config: IssuerConfig, trust_domain: TrustDomain, keys: Keys) -> Self {
        let IssuerConfig { issuer, audiences, leeway, .. } = config;
        Self { place, rules: TokenRules { issuer, audiences, leeway }, trust_domain, keys }
    }

    /// The caller whom a token proves that claims to be this issuer's. Asks for fresh keys once if it needs
    /// one that is not held.
    ///
    /// # Errors
    /// [`AuthnError::Refused`], [`AuthnError::Unavailable`].
    pub(super) async fn authenticate(
        &self,
        token: Presented<'_>,
        clock: &dyn Clock,
    ) -> Result<Proven, AuthnError> {
        let issuer = || self.issuer().to_owned();
        let keys = self.keys_for(&token).await;
        let keys = keys.map_err(|source| AuthnError::Unavailable { issuer: issuer(), source })?;
        self.prove(token, &keys, clock).map_err(|source| AuthnError::Refused { issuer: issuer(), source })
    }

    async fn keys_for(&self, token: &Presented<'_>) -> Result<Arc<KeySet>, KeysUnavailable> {
        if let Some(keys) = self.keys.held().filter(|keys| keys.jwks.knows_a_key_of(token)) {
            return Ok(keys);
        }
        self.keys.refresh().await?;
        self.keys.held().ok_or(KeysUnavailable::SourceFailed)
    }

    fn prove(&self, token: Presented<'_>, keys: &KeySet, clock: &dyn Clock) -> Result<Proven, TokenRefused> {
        let token = token.verify(&keys.jwks, &self.rules, clock.now())?;
        let caller = Arc::new(Caller::from_service_account(&token, &self.trust_domain)?);
        Ok(Proven { caller, issuer: self.place, generation: keys.generation, expires_at: token.expires_at() })
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What its tokens carry as `iss`.
    pub(super) fn issuer(&self) -> &str {
        &self.rules.issuer
    }
}
