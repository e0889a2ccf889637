//! Who is logged in at Vault: one session a token, never shared with another.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use signet_backends::vault::{Login, VaultClient, VaultSession};
use signet_client::{Token, TokenHash};
use tokio::{runtime::Handle, time::Instant};
use zeroize::Zeroizing;

/// The sessions of all workloads.
pub(super) struct Sessions {
    client: VaultClient,
    most: usize,
    held: Mutex<HashMap<TokenHash, Held>>,
}

struct Held {
    session: Arc<VaultSession>,
    used: Instant,
}

impl Sessions {
    pub(super) fn new(client: VaultClient, most: usize) -> Self {
        Self { client, most, held: Mutex::default() }
    }

    /// The session of that very token. Where there is no room, the one that was not used for longest ends.
    pub(super) fn of(&self, token: &Token) -> Arc<VaultSession> {
        let now = Instant::now();
        let mut held = self.held();
        if let Some(one) = held.get_mut(&token.hash()) {
            one.used = now;
            return Arc::clone(&one.session);
        }
        let idle: Vec<_> =
            held.iter().filter(|(_, one)| one.used + IDLE < now).map(|(hash, _)| *hash).collect();
        let oldest = || held.iter().min_by_key(|(_, one)| one.used).map(|(hash, _)| *hash);
        let full = if held.len() - idle.len() >= self.most.max(1) { oldest() } else { None };
        for hash in idle.into_iter().chain(full) {
            if let Some(one) = held.remove(&hash) {
                end(one.session);
            }
        }
        let login = Login::Jwt(Zeroizing::new(token.reveal().to_owned()));
        let session = Arc::new(VaultSession::new(self.client.clone(), login));
        held.insert(token.hash(), Held { session: Arc::clone(&session), used: now });
        session
    }

    /// The workload has gone, or shows another token.
    pub(super) fn release(&self, token: TokenHash) {
        if let Some(one) = self.held().remove(&token) {
            end(one.session);
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<TokenHash, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives Vault's token back. Nobody waits for it: one that cannot be given back ends by itself.
fn end(session: Arc<VaultSession>) {
    let Ok(runtime) = Handle::try_current() else { return };
    #[allow(clippy::disallowed_methods, reason = "ends by itself, at its deadline at the latest")]
    runtime.spawn(async move {
        if let Err(error) = session.close(Instant::now() + GOODBYE).await {
            tracing::debug!(%error, "a Vault token was not given back; it ends by itself");
        }
    });
}

/// A session that is not used ends: its workload has another token by now, or has gone without a word.
const IDLE: Duration = Duration::from_secs(3600);
const GOODBYE: Duration = Duration::from_secs(5);
