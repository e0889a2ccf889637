//! When the CA hears that a token is shown no more.

use signet_client::TokenHash;

use super::{Renewer, work::Stage};
use crate::secret_cache::SecretKey;

impl Renewer {
    /// The CA was shown this token for an entry, which may have gone meanwhile. Another that the entry showed before
    /// has been replaced.
    pub(super) fn note_shown(&mut self, key: &SecretKey, shown: Option<TokenHash>) {
        let Some(shown) = shown else { return };
        match self.works.get_mut(key) {
            Some(work) if work.shown == Some(shown) => {}
            Some(work) => {
                if let Some(before) = work.shown.replace(shown) {
                    self.release(before);
                }
            }
            None => self.release(shown),
        }
    }

    /// An entry is kept for a stream that may come back; what the CA holds for its token is not.
    pub(super) fn let_go_if_unwanted(&mut self, key: &SecretKey) {
        let Some(work) = self.works.get_mut(key) else { return };
        if work.stage == Stage::Asking || work.entry.is_wanted() {
            return;
        }
        if let Some(token) = work.shown.take() {
            self.release(token);
        }
    }

    /// Unless another entry shows the same: another user of a pod may hold its token too.
    pub(super) fn release(&self, token: TokenHash) {
        if self.works.values().all(|work| work.shown != Some(token)) {
            self.ca.release(token);
        }
    }
}
