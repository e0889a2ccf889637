//! What a workload shows for itself.

use std::{path::Path, sync::Arc, time::SystemTime};

use signet_client::{Token, TokenError};

use super::{SecretKey, TokenRules};
use crate::trouble::Trouble;

/// Where the token comes from that proves a workload to the CA.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    /// The proxy sent it when it opened the stream, and will show no other on it.
    Stream(Token),
    /// A file that somebody keeps fresh. Read whenever a token is needed.
    File(Arc<Path>),
}

impl Credential {
    /// What its secrets are cached under.
    pub(crate) fn key(&self, uid: u32) -> SecretKey {
        match self {
            Self::Stream(token) => SecretKey::Token { hash: token.hash(), uid },
            Self::File(path) => SecretKey::TokenFile(Arc::clone(path)),
        }
    }

    /// Whether it makes sense to show it to the CA. A token that is over, or is not by the rules, does not.
    pub(crate) fn check(&self, rules: &TokenRules, now: SystemTime) -> Result<(), Trouble> {
        let Self::Stream(token) = self else { return Ok(()) };
        rules.claimed_identity(token)?;
        if self.is_over(now) { Err(Trouble::TokenOver) } else { Ok(()) }
    }

    /// Whether the token claims to have ended. A lie hurts only whoever tells it.
    pub(crate) fn is_over(&self, now: SystemTime) -> bool {
        self.ends_at().is_some_and(|end| end <= now)
    }

    /// When it claims to end. A file is replaced before its token ends.
    pub(crate) fn ends_at(&self) -> Option<SystemTime> {
        match self {
            Self::Stream(token) => token.expires_at(),
            Self::File(_) => None,
        }
    }

    /// The token to show now.
    pub(crate) fn token(&self) -> Result<Token, TokenError> {
        match self {
            Self::Stream(token) => Ok(token.clone()),
            Self::File(path) => Token::read(path),
        }
    }
}
