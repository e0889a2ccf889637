//! The SVIDs that this agent holds for its workloads, and who is waiting for one.

mod credential;
mod entry;
mod refused_tokens;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use signet_identity::{Clock, TrustDomain};
use tokio::sync::{mpsc, watch};

use crate::{
    peer::PeerKey,
    sds::PublishedSecret,
    trouble::{Trouble, Withheld},
};
pub(crate) use credential::{Credential, claimed_identity};
pub(crate) use entry::{Entry, Lease, SecretKey, SvidState};
use refused_tokens::RefusedTokens;
pub(crate) use refused_tokens::VERDICT_COUNTS_FOR;

/// The cached secrets: one watched entry per credential, and one bundle for all. Cheap to clone.
///
/// Nothing is ever looked up by a name that a token claims: an entry's key is the hash of the token's very
/// bytes and the uid of the process that sent them, or the token file of the socket.
#[derive(Clone)]
pub struct SecretCache(Arc<Shared>);

struct Shared {
    trust_domain: TrustDomain,
    clock: Arc<dyn Clock>,
    most_entries: usize,
    state: Mutex<State>,
    bundle: watch::Sender<Option<Arc<PublishedSecret>>>,
    events: mpsc::UnboundedSender<Event>,
}

#[derive(Default)]
struct State {
    entries: HashMap<SecretKey, Arc<Entry>>,
    refused: RefusedTokens,
}

/// What the renewer must know of. A stream sends two at most, and streams are bounded.
#[derive(Debug)]
pub(crate) enum Event {
    /// Somebody wants this entry's SVID, on this peer's account.
    Wanted(Arc<Entry>, PeerKey),
    /// Nobody does any more.
    Left(SecretKey),
}

impl fmt::Debug for SecretCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretCache").field("entries", &self.len()).finish_non_exhaustive()
    }
}

impl SecretCache {
    /// An empty cache of at most `most_entries`, and what happens to it.
    pub(crate) fn new(
        trust_domain: TrustDomain,
        clock: Arc<dyn Clock>,
        most_entries: usize,
    ) -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (events, happened) = mpsc::unbounded_channel();
        let bundle = watch::Sender::new(None);
        let state = Mutex::default();
        (Self(Arc::new(Shared { trust_domain, clock, most_entries, state, bundle, events })), happened)
    }

    /// The trust domain of all that is cached.
    pub(crate) fn trust_domain(&self) -> &TrustDomain {
        &self.0.trust_domain
    }

    /// The roots of the trust domain; `None` until any are known. They belong to no token.
    pub(crate) fn bundle(&self) -> watch::Receiver<Option<Arc<PublishedSecret>>> {
        self.0.bundle.subscribe()
    }

    /// An interest in the SVID of whoever holds `credential`. The SVID is there at once if the CA has granted it
    /// to these very bytes, and the token is not over; else it is asked for.
    pub(crate) fn subscribe(
        &self,
        credential: &Credential,
        uid: u32,
        peer: PeerKey,
    ) -> Result<Lease, Withheld> {
        let (now, key) = (self.0.clock.now(), credential.key(uid));
        let mut state = self.state();
        if let Some(withheld) = state.refused.standing(&key, now) {
            return Err(withheld);
        }
        if let Err(why) = credential.check(&self.0.trust_domain, now) {
            return Err(state.refused.refuse_here(key, Arc::new(why), now));
        }
        let entry = state.find_or_insert(key, credential, &self.0)?;
        let lease = Lease::new(Arc::clone(&entry), self.clone());
        drop(state);
        // The receiver is gone when the renewer is, and then so are we.
        let _ = self.0.events.send(Event::Wanted(entry, peer));
        Ok(lease)
    }

    /// What becomes of the streams of an entry that got no SVID. The CA's refusal of a token is remembered, and
    /// each further disappointment holds the streams longer before they are closed.
    pub(crate) fn withhold(&self, key: &SecretKey, why: Arc<Trouble>) -> Withheld {
        let now = self.0.clock.now();
        match (&*why, key) {
            _ if why.passes() => Withheld::for_now(why),
            (Trouble::Refused(_), SecretKey::Token { .. }) => {
                self.state().refused.refuse(key.clone(), why, now)
            }
            _ => self.state().refused.refuse_here(key.clone(), why, now),
        }
    }

    /// Forgets the entry unless somebody has come back for it. What it held is zeroised when the last stream
    /// that was just sending it lets go.
    pub(crate) fn forget(&self, key: &SecretKey) -> bool {
        let mut state = self.state();
        let unused = state.entries.get(key).is_none_or(|entry| !entry.is_wanted());
        if unused {
            state.entries.remove(key);
        }
        unused
    }

    /// Tells all streams the roots.
    pub(crate) fn publish_bundle(&self, bundle: Arc<PublishedSecret>) {
        self.0.bundle.send_if_modified(|held| {
            let news = held.as_ref().is_none_or(|held| held.version() != bundle.version());
            if news {
                *held = Some(bundle);
            }
            news
        });
    }

    /// How many SVIDs are held or waited for.
    pub(crate) fn len(&self) -> usize {
        self.state().entries.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is whole, so a panicking holder leaves nothing half-done.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets an entry that no stream wants. It would have been of use to a proxy that returns, no more.
    fn make_room(&mut self) -> bool {
        let idle = self.entries.iter().find(|(_, entry)| !entry.is_wanted()).map(|(key, _)| key.clone());
        idle.is_some_and(|key| self.entries.remove(&key).is_some())
    }

    fn find_or_insert(
        &mut self,
        key: SecretKey,
        credential: &Credential,
        shared: &Shared,
    ) -> Result<Arc<Entry>, Withheld> {
        if let Some(entry) = self.entries.get(&key) {
            return Ok(Arc::clone(entry));
        }
        if self.entries.len() >= shared.most_entries && !self.make_room() {
            let full = Trouble::TooManyEntries { most: shared.most_entries };
            return Err(Withheld::again(Arc::new(full), 1));
        }
        let entry = Arc::new(Entry::new(key.clone(), credential.clone(), &shared.trust_domain));
        self.entries.insert(key, Arc::clone(&entry));
        Ok(entry)
    }
}
