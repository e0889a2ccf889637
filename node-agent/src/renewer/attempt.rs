//! One attempt at an SVID: token, key, CSR, call.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use signet_client::{CaClient, Issued, TokenHash};
use signet_identity::{CertificateRequest, PrivateKey, SpiffeId};

use crate::{
    secret_cache::{Credential, TokenRules},
    trouble::Trouble,
};

/// What came back from the CA, with what it must match. Nothing of it is verified.
#[derive(Debug)]
pub(super) struct Granted {
    /// What was asked for.
    pub(super) identity: SpiffeId,
    /// Made for this attempt alone.
    pub(super) key: PrivateKey,
    /// The CA's answer.
    pub(super) issued: Issued,
    /// The token that was shown.
    pub(super) shown: TokenHash,
    /// When it claims to end.
    pub(super) token_ends: Option<SystemTime>,
}

/// An attempt that failed, and whom it was for if that much is known.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) trouble: Arc<Trouble>,
    pub(super) identity: Option<SpiffeId>,
    /// The token that the CA was shown, if it was shown any.
    pub(super) shown: Option<TokenHash>,
}

/// Shows the token as it is now and asks for an SVID under a new key.
pub(super) async fn attempt(
    ca: &dyn CaClient,
    credential: &Credential,
    rules: &TokenRules,
    lifetime: Option<Duration>,
) -> Result<Granted, Failed> {
    let nobody = |trouble| Failed { trouble: Arc::new(trouble), identity: None, shown: None };
    let token = credential.token().map_err(Trouble::TokenFile).map_err(nobody)?;
    let identity = rules.claimed_identity(&token).map_err(nobody)?;
    let failed =
        |trouble| Failed { trouble: Arc::new(trouble), identity: Some(identity.clone()), shown: None };
    let key = PrivateKey::generate().map_err(Trouble::NoKey).map_err(failed)?;
    let csr = CertificateRequest::pem(&key, &identity).map_err(Trouble::NoCsr).map_err(failed)?;
    let shown = token.hash();
    match ca.issue(&token, &csr, lifetime).await {
        Ok(issued) => Ok(Granted { identity, key, issued, shown, token_ends: token.expires_at() }),
        Err(error) => Err(Failed { shown: Some(shown), ..failed(error.into()) }),
    }
}
