//! Who is logged in at Vault: one session a token, never shared with another.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use signet_backends::vault::{Login, VaultClient, VaultSession};
use signet_client::{Token, TokenHash};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// The sessions of all workloads. Bounded.
pub(super) struct Sessions {
    client: VaultClient,
    most: usize,
    held: Mutex<Held>,
}

struct Held {
    sessions: HashMap<TokenHash, Session>,
    /// Counts uses, so that they have an order.
    uses: u64,
    /// To whoever gives their tokens back, until all have left.
    leaving: Option<mpsc::Sender<Arc<VaultSession>>>,
}

struct Session {
    session: Arc<VaultSession>,
    last_use: u64,
}

impl Sessions {
    /// At most `most`, and where those go that end: each has a Vault token that may be given back.
    pub(super) fn new(client: VaultClient, most: usize) -> (Self, mpsc::Receiver<Arc<VaultSession>>) {
        let most = most.max(1);
        let (leaving, left) = mpsc::channel(most);
        let held = Held { sessions: HashMap::new(), uses: 0, leaving: Some(leaving) };
        (Self { client, most, held: Mutex::new(held) }, left)
    }

    /// The session of that very token. Where there is no room, the one that was not used for longest ends.
    pub(super) fn of(&self, token: &Token) -> Arc<VaultSession> {
        let mut held = self.held();
        held.uses += 1;
        let last_use = held.uses;
        if let Some(known) = held.sessions.get_mut(&token.hash()) {
            known.last_use = last_use;
            return Arc::clone(&known.session);
        }
        if held.sessions.len() >= self.most {
            let oldest = held.sessions.iter().min_by_key(|(_, one)| one.last_use).map(|(hash, _)| *hash);
            if let Some(ended) = oldest.and_then(|hash| held.sessions.remove(&hash)) {
                held.leave(ended.session);
            }
        }
        let login = Login::Jwt(Zeroizing::new(token.reveal().to_owned()));
        let session = Arc::new(VaultSession::new(self.client.clone(), login));
        held.sessions.insert(token.hash(), Session { session: Arc::clone(&session), last_use });
        session
    }

    /// A call has used this session. If it was released meanwhile, it may have logged in since.
    pub(super) fn used(&self, token: TokenHash, session: &Arc<VaultSession>) {
        let held = self.held();
        if !held.sessions.get(&token).is_some_and(|known| Arc::ptr_eq(&known.session, session)) {
            held.leave(Arc::clone(session));
        }
    }

    /// The workload has gone, or shows another token.
    pub(super) fn release(&self, token: TokenHash) {
        let mut held = self.held();
        if let Some(ended) = held.sessions.remove(&token) {
            held.leave(ended.session);
        }
    }

    /// All workloads have, and no more are given back after them.
    pub(super) fn release_all(&self) {
        let mut held = self.held();
        for ended in std::mem::take(&mut held.sessions).into_values() {
            held.leave(ended.session);
        }
        held.leaving = None;
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.held().sessions.len()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Every change under the lock is whole, so a panicking holder leaves nothing half-done.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Where more leave than can be seen to, their tokens end by themselves.
    fn leave(&self, session: Arc<VaultSession>) {
        if self.leaving.as_ref().is_none_or(|leaving| leaving.try_send(session).is_err()) {
            tracing::debug!("a Vault token is not given back, for too many are; it ends by itself");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::testing::vault_config;

    fn sessions(most: usize) -> (Sessions, mpsc::Receiver<Arc<VaultSession>>) {
        Sessions::new(VaultClient::new(vault_config(), "test").unwrap(), most)
    }

    fn token(text: &str) -> Token {
        Token::new(text).unwrap()
    }

    #[test]
    fn a_token_has_one_session_and_another_token_another() {
        let (sessions, _left) = sessions(10);
        let one = sessions.of(&token("a"));
        assert!(Arc::ptr_eq(&one, &sessions.of(&token("a"))));
        assert!(!Arc::ptr_eq(&one, &sessions.of(&token("b"))));
    }

    #[test]
    fn where_there_is_no_room_the_one_not_used_for_longest_ends() {
        let (sessions, mut left) = sessions(2);
        let [a, b] = ["a", "b"].map(|text| sessions.of(&token(text)));
        sessions.of(&token("a"));
        assert!(left.try_recv().is_err());
        sessions.of(&token("c"));
        assert!(Arc::ptr_eq(&left.try_recv().unwrap(), &b));
        assert!(left.try_recv().is_err());
        assert!(Arc::ptr_eq(&a, &sessions.of(&token("a"))));
        assert_eq!(sessions.count(), 2);
    }

    #[test]
    fn a_released_session_ends_once_and_again_if_a_call_was_at_it() {
        let (sessions, mut left) = sessions(10);
        let (token, stranger) = (token("a"), token("b"));
        let session = sessions.of(&token);
        sessions.used(token.hash(), &session);
        sessions.release(stranger.hash());
        assert!(left.try_recv().is_err(), "it is held");

        sessions.release(token.hash());
        assert!(Arc::ptr_eq(&left.try_recv().unwrap(), &session));
        sessions.release(token.hash());
        assert!(left.try_recv().is_err());
        sessions.used(token.hash(), &session);
        assert!(Arc::ptr_eq(&left.try_recv().unwrap(), &session), "it may have logged in since");
    }

    #[test]
    fn when_all_leave_nobody_does_after_them() {
        let (sessions, mut left) = sessions(10);
        for text in ["a", "b"] {
            sessions.of(&token(text));
        }
        sessions.release_all();
        sessions.of(&token("c"));
        sessions.release(token("c").hash());
        assert!(left.try_recv().is_ok() && left.try_recv().is_ok());
        assert_eq!(left.try_recv().unwrap_err(), mpsc::error::TryRecvError::Disconnected);
    }

    #[test]
    fn more_than_can_be_given_back_are_left_to_end() {
        let (sessions, mut left) = sessions(2);
        for text in ["a", "b", "c", "d", "e", "f"] {
            sessions.of(&token(text));
        }
        assert_eq!(std::iter::from_fn(|| left.try_recv().ok()).count(), 2);
    }

    #[test]
    fn a_call_at_a_session_that_was_replaced_meanwhile_gives_back_the_old_one() {
        let (sessions, mut left) = sessions(10);
        let token = token("a");
        let old = sessions.of(&token);
        sessions.release(token.hash());
        left.try_recv().unwrap();
        let new = sessions.of(&token);

        sessions.used(token.hash(), &old);

        assert!(Arc::ptr_eq(&left.try_recv().unwrap(), &old));
        assert!(Arc::ptr_eq(&sessions.of(&token), &new), "it stays");
    }
}
