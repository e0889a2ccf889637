//! Who is calling: from what the wire shows to a proven [`Caller`].
//!
//! The issuer that a token claims decides alone: a token that is presented and fails is a refusal, never a
//! reason to try another way. Nothing here asks a server for a single request: a known token costs a hash and
//! a look-up, a new one its signature.

mod cache;
mod credentials;
mod oidc;

use std::sync::Arc;

use signet_identity::{
    Caller, Clock, TrustDomain,
    jwt::{JwtError, Presented},
};

pub(crate) use self::oidc::LoadFailure;
use self::{
    cache::{Proven, VerifiedTokens},
    oidc::OidcIssuer,
};
pub use self::{
    credentials::{Credentials, CredentialsError},
    oidc::{
        DevelopmentKeys, FetchError, Fetcher, IssuerConfig, KeysUnavailable, RefreshTimes, Refresher, Source,
        SourceError, TokenRefused, Transport,
    },
};
use crate::metrics::Metrics;

/// Tokens that are remembered as verified.
const CACHED_TOKENS: usize = 10_000;

/// All ways in which a caller may prove itself.
pub struct Authentication {
    issuers: Vec<OidcIssuer>,
    verified: VerifiedTokens,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

/// Why there is no caller.
#[derive(Debug, thiserror::Error)]
pub enum AuthnError {
    /// No credentials to look at.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The token is not one at all.
    #[error("the bearer token cannot be read")]
    Unreadable(#[source] JwtError),
    /// The token is of an issuer that is not configured, or of none.
    #[error("the token {}", unknown(issuer.as_deref()))]
    UnknownIssuer {
        /// Its `iss`.
        issuer: Option<String>,
    },
    /// A configured issuer's token that is not good.
    #[error("the token of the issuer {issuer} is refused")]
    Refused {
        /// Whose token it claims to be.
        issuer: String,
        /// Why.
        source: TokenRefused,
    },
    /// It cannot be decided now.
    #[error("the token of the issuer {issuer} cannot be judged")]
    Unavailable {
        /// Whose token it claims to be.
        issuer: String,
        /// Why.
        source: KeysUnavailable,
    },
}

impl Authentication {
    /// Authentication by these issuers, and the tasks that keep their keys fresh. Without any issuer every
    /// token is refused.
    pub fn new(
        issuers: Vec<IssuerConfig>,
        trust_domain: &TrustDomain,
        development: DevelopmentKeys,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> (Self, Vec<Refresher>) {
        let (issuers, refreshers) = issuers
            .into_iter()
            .enumerate()
            .map(|(place, config)| {
                let (refresher, keys) =
                    Refresher::new(&config, development, Arc::clone(&clock), metrics.clone());
                (OidcIssuer::new(place, config, trust_domain.clone(), keys), refresher)
            })
            .unzip();
        (Self { issuers, verified: VerifiedTokens::new(CACHED_TOKENS), clock, metrics }, refreshers)
    }

    /// The caller whom these credentials prove.
    ///
    /// # Errors
    /// They prove nobody, or it cannot be decided now.
    pub async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Arc<Caller>, AuthnError> {
        let digest = credentials.digest();
        if let Some(caller) = self.remembered(&digest) {
            self.metrics.token_cache_hit();
            return Ok(caller);
        }
        self.metrics.token_cache_miss();
        let proven = self.prove(credentials.token()).await?;
        let caller = Arc::clone(&proven.caller);
        self.verified.insert(digest, proven, self.clock.now());
        Ok(caller)
    }

    /// Each issuer that has no keys, with the reason: as long as there is one, its workloads are not served.
    pub fn issuers_without_keys(&self) -> impl Iterator<Item = (&str, String)> {
        self.issuers.iter().filter_map(|issuer| Some((issuer.issuer(), issuer.keys().missing()?)))
    }

    /// Each issuer whose keys cannot be loaded now, whether or not there are some to go on with.
    pub(crate) fn failing_issuers(&self) -> impl Iterator<Item = (&str, LoadFailure)> {
        self.issuers.iter().filter_map(|issuer| Some((issuer.issuer(), issuer.keys().failure()?)))
    }

    /// How many issuers there are.
    pub fn issuers(&self) -> usize {
        self.issuers.len()
    }

    fn remembered(&self, digest: &cache::Digest) -> Option<Arc<Caller>> {
        let proven = self.verified.get(digest, self.clock.now())?;
        let keys = self.issuers.get(proven.issuer)?.keys().held()?;
        (keys.generation == proven.generation).then(|| Arc::clone(&proven.caller))
    }

    async fn prove(&self, token: &str) -> Result<Proven, AuthnError> {
        let token = Presented::read(token).map_err(AuthnError::Unreadable)?;
        let claimed = token.claimed_issuer();
        let Some(issuer) = self.issuers.iter().find(|issuer| Some(issuer.issuer()) == claimed) else {
            return Err(AuthnError::UnknownIssuer { issuer: claimed.map(str::to_owned) });
        };
        issuer.authenticate(token, &*self.clock).await
    }
}

fn unknown(issuer: Option<&str>) -> String {
    match issuer {
        Some(issuer) => format!("is of the issuer {issuer:?}, which no `[[issuer]]` names as its `url`"),
        None => "names no issuer (`iss`)".to_owned(),
    }
}

#[cfg(test)]
mod tests;
