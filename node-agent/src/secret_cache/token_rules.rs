//! What a token must say of itself before it is shown to anybody.

use signet_client::Token;
use signet_identity::{SpiffeId, TrustDomain};

use crate::{trouble::Trouble, workload::audience::TokenAudience};

/// The rules of an agent. Nothing is granted by them: what a token says is proven by whoever it is shown to.
#[derive(Debug, Clone)]
pub(crate) struct TokenRules {
    trust_domain: TrustDomain,
    audience: Option<TokenAudience>,
}

impl TokenRules {
    /// `audience`: `None` leaves it to the CA.
    pub(crate) fn new(trust_domain: TrustDomain, audience: Option<TokenAudience>) -> Self {
        Self { trust_domain, audience }
    }

    /// The trust domain of whoever is named.
    pub(crate) fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Whose SVID is to be asked for, as the token says.
    pub(crate) fn claimed_identity(&self, token: &Token) -> Result<SpiffeId, Trouble> {
        let claims = token.claims().map_err(|why| Trouble::NoJwt(why.clone()))?;
        if let Some(audience) = &self.audience {
            audience.check(claims).map_err(Trouble::WrongAudience)?;
        }
        claims.workload(&self.trust_domain).ok_or(Trouble::TokenNamesNobody)
    }
}
