//! One token issuer: its rules, its keys, and who a token of its makes the caller.

mod fetch;
mod keys;
mod source;

use std::{sync::Arc, time::Duration};

use signet_identity::{
    Caller, Clock, NotAServiceAccount, TrustDomain,
    jwt::{JwtError, Presented, TokenRules, VerifiedToken},
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

/// What one authenticator says of a token.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The token is good.
    Authenticated(Proven),
    /// The token is this issuer's business, and it is not good.
    Refused(TokenRefused),
    /// Somebody else's token.
    NotMine,
    /// It cannot be decided now.
    Unavailable(KeysUnavailable),
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

    /// Judges a token that claims to be this issuer's. Asks for fresh keys once if it needs one that is not held.
    pub(super) async fn authenticate(&self, token: &Presented<'_>, clock: &dyn Clock) -> Verdict {
        if token.claimed_issuer() != Some(&*self.rules.issuer) {
            return Verdict::NotMine;
        }
        match self.verify(token, clock) {
            Some(Err(JwtError::UnknownKey { .. })) | None => {}
            Some(verified) => return self.judge(verified),
        }
        if let Err(unavailable) = self.keys.refresh().await {
            return Verdict::Unavailable(unavailable);
        }
        match self.verify(token, clock) {
            Some(verified) => self.judge(verified),
            None => Verdict::Unavailable(KeysUnavailable::SourceFailed),
        }
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What its tokens carry as `iss`.
    pub(super) fn issuer(&self) -> &str {
        &self.rules.issuer
    }

    /// `None` while no keys are held.
    fn verify(
        &self,
        token: &Presented<'_>,
        clock: &dyn Clock,
    ) -> Option<Result<(VerifiedToken, u64), JwtError>> {
        let keys = self.keys.held()?;
        let verified = token.verify(&keys.jwks, &self.rules, clock.now());
        Some(verified.map(|verified| (verified, keys.generation)))
    }

    fn judge(&self, verified: Result<(VerifiedToken, u64), JwtError>) -> Verdict {
        let caller = verified.map_err(TokenRefused::from).and_then(|(token, generation)| {
            let caller = Arc::new(Caller::from_service_account(&token, &self.trust_domain)?);
            Ok(Proven { caller, issuer: self.place, generation, expires_at: token.expires_at() })
        });
        caller.map_or_else(Verdict::Refused, Verdict::Authenticated)
    }
}
