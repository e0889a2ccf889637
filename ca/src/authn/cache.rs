//! Tokens that were verified already, so that a node agent's repeated request costs a hash, not a signature.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use quick_cache::sync::Cache;
use signet_identity::Caller;

/// Longest time a verified token is remembered: a token that its issuer revokes is dead here after that.
const MAX_AGE: Duration = Duration::from_secs(300);

/// SHA-256 of the credentials, see `Credentials::digest`.
pub(super) type Digest = [u8; 32];

/// A caller whom a token proved, and what limits the belief in it.
#[derive(Debug, Clone)]
pub(super) struct Proven {
    pub(super) caller: Arc<Caller>,
    /// The issuer's place in the configuration, which is fixed for the life of the process.
    pub(super) issuer: usize,
    /// The generation of the issuer's keys. A proof by keys of another generation is no longer believed.
    pub(super) generation: u64,
    /// `exp` of the token.
    pub(super) expires_at: SystemTime,
}

/// A bounded memory of proofs, shared by all cores.
#[derive(Debug)]
pub(super) struct VerifiedTokens(Cache<Digest, Entry>);

#[derive(Debug, Clone)]
struct Entry {
    proven: Arc<Proven>,
    until: SystemTime,
}

impl VerifiedTokens {
    /// Remembers at most `capacity` tokens; which one gives way is the cache's to say (S3-FIFO). What is over
    /// takes its place until then: whether an entry is still good is decided by `until`, against `Clock`.
    pub(super) fn new(capacity: usize) -> Self {
        Self(Cache::new(capacity))
    }

    /// What these credentials proved, unless that is over by `now`.
    pub(super) fn get(&self, digest: &Digest, now: SystemTime) -> Option<Arc<Proven>> {
        self.0.get(digest).filter(|entry| now < entry.until).map(|entry| entry.proven)
    }

    /// Remembers a proof until the token expires, at most five minutes from `now`.
    pub(super) fn insert(&self, digest: Digest, proven: Proven, now: SystemTime) {
        let until = proven.expires_at.min(now + MAX_AGE);
        if now < until {
            self.0.insert(digest, Entry { proven: Arc::new(proven), until });
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
