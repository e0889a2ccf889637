//! One cached SVID and the streams that want it.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use signet_client::TokenHash;
use signet_identity::SpiffeId;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

use super::{Credential, Event, SecretCache, TokenRules};
use crate::{sds::PublishedSecret, trouble::Withheld};

/// What a secret is cached under. Neither holds a name that somebody merely claims.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum SecretKey {
    /// The very bytes of a token, and the uid that sent them.
    Token {
        /// SHA-256.
        hash: TokenHash,
        /// Of the process at the other end of the socket, as the kernel says.
        uid: u32,
    },
    /// The token file of a socket.
    TokenFile(Arc<Path>),
}

impl fmt::Display for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token { hash, uid } => write!(f, "token {hash} of uid {uid}"),
            Self::TokenFile(path) => write!(f, "token file {}", path.display()),
        }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A place in the cache: the credential, and what its streams are to know.
#[derive(Debug)]
pub(crate) struct Entry {
    key: SecretKey,
    credential: Credential,
    state: watch::Sender<SvidState>,
    streams: AtomicUsize,
}

/// What the streams of an entry are to know.
#[derive(Debug, Clone, Default)]
pub(crate) struct SvidState {
    /// Whose SVID this is or will be. Claimed until there is one, verified from then on. `None` until a token
    /// file could be read.
    pub(crate) identity: Option<SpiffeId>,
    /// Certificate and key, verified and not over.
    pub(crate) secret: Option<Arc<PublishedSecret>>,
    /// Why there is nothing newer.
    pub(crate) trouble: Option<Withheld>,
    /// Counts how often the streams were asked to come back with a fresh token.
    pub(crate) recalls: u32,
}

impl Entry {
    pub(super) fn new(key: SecretKey, credential: Credential, rules: &TokenRules) -> Self {
        let identity = match &credential {
            Credential::Stream(token) => rules.claimed_identity(token).ok(),
            Credential::File(_) => None,
        };
        let state = watch::Sender::new(SvidState { identity, ..SvidState::default() });
        Self { key, credential, state, streams: AtomicUsize::new(0) }
    }

    /// What it is cached under.
    pub(crate) fn key(&self) -> &SecretKey {
        &self.key
    }

    /// What its workload shows for itself.
    pub(crate) fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Whether any stream wants it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.streams.load(SeqCst) > 0
    }

    /// A new SVID, verified.
    pub(crate) fn publish(&self, identity: SpiffeId, secret: Arc<PublishedSecret>) {
        self.state.send_modify(|state| {
            state.identity = Some(identity);
            state.secret = Some(secret);
            state.trouble = None;
        });
    }

    /// The held SVID is over.
    pub(crate) fn expire(&self) {
        self.state.send_if_modified(|state| state.secret.take().is_some());
    }

    /// Why there is nothing new.
    pub(crate) fn fail(&self, trouble: Withheld, identity: Option<SpiffeId>) {
        self.state.send_modify(|state| {
            state.trouble = Some(trouble);
            state.identity = identity.or_else(|| state.identity.take());
        });
    }

    /// Asks the streams that have the SVID to come back with a fresh token.
    pub(crate) fn recall(&self) {
        self.state.send_modify(|state| state.recalls = state.recalls.wrapping_add(1));
    }
}

/// A stream's interest in an entry. Dropping it ends the interest.
#[derive(Debug)]
pub(crate) struct Lease {
    entry: Arc<Entry>,
    cache: SecretCache,
    /// Of the entry when the interest began: what was asked of others does not concern this one.
    recalls: u32,
}

impl Lease {
    /// Called under the lock of the cache, so that nobody forgets the entry meanwhile.
    pub(super) fn new(entry: Arc<Entry>, cache: SecretCache) -> Self {
        entry.streams.fetch_add(1, SeqCst);
        let recalls = entry.state.borrow().recalls;
        Self { entry, cache, recalls }
    }

    /// What there is now.
    pub(crate) fn now(&self) -> SvidState {
        self.entry.state.borrow().clone()
    }

    /// What there is now, and whenever it changes.
    pub(crate) fn states(&self) -> WatchStream<SvidState> {
        WatchStream::new(self.entry.state.subscribe())
    }

    /// Whether the stream is asked to come back with a fresh token.
    pub(crate) fn is_recalled(&self, state: &SvidState) -> bool {
        state.recalls != self.recalls
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.entry.streams.fetch_sub(1, SeqCst) == 1 {
            self.cache.note(Event::Left(self.entry.key.clone()));
        }
    }
}
