//! The SVIDs that this agent holds for its workloads, and who is waiting for one.

mod credential;
mod entry;
mod news;
mod refused_tokens;
mod token_rules;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use signet_identity::{Clock, TrustDomain};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    moment::Moment,
    peer::PeerKey,
    sds::PublishedSecret,
    trouble::{Trouble, Withheld},
};
pub(crate) use credential::Credential;
pub(crate) use entry::{Entry, Lease, SecretKey, SvidState};
pub(crate) use news::Event;
use news::News;
use refused_tokens::RefusedTokens;
pub(crate) use refused_tokens::VERDICT_COUNTS_FOR;
pub(crate) use token_rules::TokenRules;

/// The cached secrets: one watched entry per credential, and one bundle for all. Cheap to clone.
///
/// Nothing is ever looked up by a name that a token claims: an entry's key is the hash of the token's very
/// bytes and the uid of the process that sent them, or the token file of the socket.
#[derive(Clone)]
pub struct SecretCache(Arc<Shared>);

struct Shared {
    rules: TokenRules,
    clock: Arc<dyn Clock>,
    most_entries: usize,
    state: Mutex<State>,
    roots: watch::Sender<KnownRoots>,
    noted: Notify,
}

/// What is known of the roots of the trust domain.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownRoots {
    /// `None` until there are any.
    pub(crate) bundle: Option<Arc<PublishedSecret>>,
    /// How the first of them come.
    pub(crate) come: RootsCome,
}

/// How roots are had from the CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum RootsCome {
    /// The renewer asks for them, or has not been told yet that it does in vain.
    #[default]
    Alone,
    /// Nothing but an SVID brings any.
    WithSvids,
}

#[derive(Default)]
struct State {
    entries: HashMap<SecretKey, Arc<Entry>>,
    refused: RefusedTokens,
    news: News,
}

impl fmt::Debug for SecretCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretCache").field("entries", &self.len()).finish_non_exhaustive()
    }
}

impl SecretCache {
    /// An empty cache of at most `most_entries`.
    pub(crate) fn new(rules: TokenRules, clock: Arc<dyn Clock>, most_entries: usize) -> Self {
        let (roots, state, noted) = (watch::Sender::default(), Mutex::default(), Notify::new());
        Self(Arc::new(Shared { rules, clock, most_entries, state, roots, noted }))
    }

    /// What happens to it next, for the one renewer. May be dropped at any point: nothing is lost.
    pub(crate) async fn next_event(&self) -> Event {
        loop {
            let noted = self.0.noted.notified();
            let event = self.state().news.next();
            match event {
                Some(event) => return event,
                None => noted.await,
            }
        }
    }

    fn note(&self, event: Event) {
        self.state().news.note(event);
        self.0.noted.notify_one();
    }

    /// The trust domain of all that is cached.
    pub(crate) fn trust_domain(&self) -> &TrustDomain {
        self.0.rules.trust_domain()
    }

    /// What a token must say before it is shown to anybody.
    pub(crate) fn rules(&self) -> &TokenRules {
        &self.0.rules
    }

    /// The roots of the trust domain. They belong to no token.
    pub(crate) fn roots(&self) -> watch::Receiver<KnownRoots> {
        self.0.roots.subscribe()
    }

    /// An interest in the SVID of whoever holds `credential`. The SVID is there at once if the CA has granted it
    /// to these very bytes, and the token is not over; else it is asked for.
    pub(crate) fn subscribe(
        &self,
        credential: &Credential,
        uid: u32,
        peer: PeerKey,
    ) -> Result<Lease, Withheld> {
        let (now, key) = (Moment::now(&*self.0.clock), credential.key(uid));
        let mut state = self.state();
        if let Some(withheld) = state.refused.standing(&key, now.timer) {
            return Err(withheld);
        }
        if let Err(why) = credential.check(&self.0.rules, now.wall) {
            return Err(state.refused.refuse_here(key, Arc::new(why), now.timer));
        }
        let entry = state.find_or_insert(key, credential, &self.0)?;
        let lease = Lease::new(Arc::clone(&entry), self.clone());
        drop(state);
        self.note(Event::Wanted(entry, peer));
        Ok(lease)
    }

    /// What becomes of the streams of an entry that got no SVID. The CA's refusal of a token is remembered, and
    /// each further disappointment holds the streams longer before they are closed.
    pub(crate) fn withhold(&self, key: &SecretKey, why: Arc<Trouble>) -> Withheld {
        let now = Instant::now();
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
        self.0.roots.send_if_modified(|roots| {
            let news = roots.bundle.as_ref().is_none_or(|held| held.version() != bundle.version());
            if news {
                roots.bundle = Some(bundle);
            }
            news
        });
    }

    /// Tells streams that wait for roots how these can be had.
    pub(crate) fn roots_come(&self, how: RootsCome) {
        self.0.roots.send_if_modified(|roots| {
            let before = std::mem::replace(&mut roots.come, how);
            before != how && roots.bundle.is_none()
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
        // News of entries that made room is still to be heard, and is bounded as well.
        let unheard = self.news.len() >= 2 * shared.most_entries;
        if unheard || self.entries.len() >= shared.most_entries && !self.make_room() {
            let full = Trouble::TooManyEntries { most: shared.most_entries };
            return Err(Withheld::again(Arc::new(full), 1).standing_for(FULL_FOR));
        }
        let entry = Arc::new(Entry::new(key.clone(), credential.clone(), &shared.rules));
        self.entries.insert(key, Arc::clone(&entry));
        Ok(entry)
    }
}

/// The renewer makes room in far less, unless all that is held is wanted.
const FULL_FOR: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use signet_client::testing::FakeCa;
    use signet_identity::ManualClock;

    use super::*;
    use crate::{peer::testing::peer_named, testing::HOUR};

    #[test]
    fn who_comes_and_goes_while_nobody_listens_leaves_bounded_news() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(std::time::UNIX_EPOCH + 500_000 * HOUR));
        let ca = FakeCa::new("td.test".parse().unwrap(), Arc::clone(&clock));
        let cache = SecretCache::new(TokenRules::new("td.test".parse().unwrap(), None), clock, 2);
        let come_and_go =
            |token| cache.subscribe(&Credential::Stream(token), 1337, peer_named("pod")).map(drop);
        let same = ca.token("a", "web", HOUR);
        for _ in 0..100 {
            come_and_go(same.clone()).unwrap();
        }
        assert_eq!(cache.state().news.len(), 1);
        for number in 0..100 {
            let _ = come_and_go(ca.token("a", &format!("w{number}"), HOUR));
        }
        assert_eq!(cache.state().news.len(), 4, "twice what is held");
        come_and_go(ca.token("a", "one-more", HOUR)).unwrap_err();
    }
}
