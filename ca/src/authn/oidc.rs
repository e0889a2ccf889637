//! One token issuer: its rules, its keys, and who a token of its makes the caller.

mod fetch;
mod keys;
mod source;

use std::{sync::Arc, time::Duration};

use signet_identity::{
    Caller, Clock, NotAServiceAccount, TrustDomain,
    jwt::{JwtError, Presented, TokenRules},
};

use self::keys::Keys;
pub use self::{
    fetch::{FetchError, Fetcher},
    keys::{DevelopmentKeys, KeysUnavailable, RefreshTimes, Refresher},
    source::{Source, SourceError, Transport},
};
use super::cache::Proven;

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

/// Why a token of the issuer proves nobody.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotProven {
    /// It is not good.
    #[error(transparent)]
    Refused(#[from] TokenRefused),
    /// It cannot be decided now.
    #[error(transparent)]
    Unavailable(#[from] KeysUnavailable),
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

    /// The caller whom a token proves that claims to be this issuer's. Asks for fresh keys once if it needs one that is not held.
    pub(super) async fn authenticate(
        &self,
        token: Presented<'_>,
        clock: &dyn Clock,
    ) -> Result<Proven, NotProven> {
        let keys = match self.keys.held() {
            Some(keys) if keys.jwks.knows_a_key_of(&token) => keys,
            _ => {
                self.keys.refresh().await?;
                self.keys.held().ok_or(KeysUnavailable::SourceFailed)?
            }
        };
        let token = token.verify(&keys.jwks, &self.rules, clock.now()).map_err(TokenRefused::from)?;
        let caller = Caller::from_service_account(&token, &self.trust_domain).map_err(TokenRefused::from)?;
        let (caller, expires_at) = (Arc::new(caller), token.expires_at());
        Ok(Proven { caller, issuer: self.place, generation: keys.generation, expires_at })
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What its tokens carry as `iss`.
    pub(super) fn issuer(&self) -> &str {
        &self.rules.issuer
    }
}
