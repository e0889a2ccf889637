//! One login at a Vault, kept alive.
//!
//! A token is renewed by whoever uses it when two thirds of its lease, give or take, are over, and replaced
//! by a new login when it cannot be stretched any further; meanwhile, and if neither succeeds, it serves all
//! others to its end. Denied something, it may be dead or not: it is replaced by a login that succeeds, and then given
//! back. One login or renewal is under way at a time, and all who wait for it get its outcome: a
//! Vault that comes back is asked once, not a thousand times.
//!
//! Metrics, after the prefix of the process: `_vault_logins_total` by `outcome`,
//! `_vault_token_renewals_total` by `outcome`.

use std::{convert::identity, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use serde::de::DeserializeOwned;
use signet_runtime::telemetry::chain;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{Instant, timeout_at},
};
use vaultrs::api::token::requests::{RenewTokenSelfRequest, RevokeTokenSelfRequest};

use super::{
    Login, VaultClient, VaultError,
    answer::Answer,
    request::Request,
    token::{Due, Token},
};

/// A login at one Vault.
pub struct VaultSession {
    client: VaultClient,
    login: Login,
    token: ArcSwapOption<Token>,
    /// Held by whoever logs in or renews.
    standing: Mutex<Standing>,
}

#[derive(Default)]
struct Standing {
    failed: Option<Failed>,
    /// Failures in a row.
    failures: u32,
}

/// The last login, if it failed.
struct Failed {
    error: Arc<VaultError>,
    /// Until then nobody tries again.
    until: Instant,
}

impl VaultSession {
    /// Nobody is logged in yet: the first request does.
    pub fn new(client: VaultClient, login: Login) -> Self {
        let (token, standing) = Default::default();
        Self { client, login, token, standing }
    }

    /// The Vault.
    pub fn client(&self) -> &VaultClient {
        &self.client
    }

    /// Logs in, unless that was done before.
    ///
    /// # Errors
    /// It fails.
    pub async fn log_in(&self, deadline: Instant) -> Result<(), VaultError> {
        self.token(None, deadline).await.map(drop)
    }

    /// Asks as whoever logged in. Denied, it logs in anew and asks once more: a token may have been revoked.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        request: &Request,
        deadline: Instant,
    ) -> Result<Answer<T>, VaultError> {
        let token = self.token(None, deadline).await?;
        match self.client.ask(request, Some(&token.secret), deadline).await {
            Err(VaultError::Denied { .. }) if token.may_be_dead(Instant::now()) => {
                let fresh = self.token(Some(&token), deadline).await?;
                self.client.ask(request, Some(&fresh.secret), deadline).await
            }
            answer => answer,
        }
    }

    /// Gives the token back, if there is one.
    ///
    /// # Errors
    /// Vault did not take it: it ends by itself. That one of a batch does in any case is no error.
    pub async fn close(&self, deadline: Instant) -> Result<(), VaultError> {
        // Not before a login that is under way has ended.
        let standing = self.alone(deadline).await?;
        let token = self.token.swap(None);
        drop(standing);
        match token {
            Some(token) => self.give_back(&token, deadline).await,
            None => Ok(()),
        }
    }

    /// Only what Vault made for us, and would keep for long.
    async fn give_back(&self, token: &Token, deadline: Instant) -> Result<(), VaultError> {
        let is_ours = self.login.makes_tokens(&self.client.config().auth.method);
        if !is_ours || !token.is_worth_revoking(deadline) {
            return Ok(());
        }
        let request = Request::of(&RevokeTokenSelfRequest::default())?;
        self.client.ask::<serde_json::Value>(&request, Some(&token.secret), deadline).await.map(drop)
    }

    /// A token that lives, and is not `dead`.
    async fn token(&self, dead: Option<&Token>, deadline: Instant) -> Result<Arc<Token>, VaultError> {
        let held =
            || self.token.load_full().filter(|token| dead.is_none_or(|dead| dead.secret != token.secret));
        if let Some(token) = held() {
            match token.due(Instant::now()) {
                Due::Nothing => return Ok(token),
                Due::Prolongation => return Ok(self.prolonged(token, deadline).await),
                Due::Login => {}
            }
        }
        let mut standing = self.alone(deadline).await?;
        if let Some(token) = held().filter(|token| token.due(Instant::now()) != Due::Login) {
            return Ok(token);
        }
        if let Some(failed) = standing.failed.as_ref().filter(|failed| Instant::now() < failed.until) {
            return Err(VaultError::Login(Arc::clone(&failed.error)));
        }
        let Some(dead) = dead else { return self.logged_in(&mut standing, identity, deadline).await };
        let obtained = |token: Token| token.instead_of_a_denied_one(Instant::now());
        let fresh = self.logged_in(&mut standing, obtained, deadline).await?;
        drop(standing);
        if let Err(error) = self.give_back(dead, deadline.min(Instant::now() + PATIENCE)).await {
            tracing::debug!(error = %chain(&error), "a denied Vault token was not given back; it may be dead");
        }
        Ok(fresh)
    }

    async fn alone(&self, deadline: Instant) -> Result<MutexGuard<'_, Standing>, VaultError> {
        timeout_at(deadline, self.standing.lock()).await.map_err(|_| VaultError::NoTime)
    }

    async fn logged_in(
        &self,
        standing: &mut Standing,
        obtained: fn(Token) -> Token,
        deadline: Instant,
    ) -> Result<Arc<Token>, VaultError> {
        let outcome = self.login.run(&self.client, deadline).await;
        self.count("logins", outcome.as_ref().map_or_else(VaultError::label, |_| "good"));
        match outcome {
            Ok(auth) => {
                let token = Arc::new(obtained(Token::of(auth, Instant::now(), fastrand::f64())));
                self.token.store(Some(Arc::clone(&token)));
                *standing = Standing::default();
                tracing::info!(lease = ?token.lease.map(|lease| lease.full), "logged in at Vault");
                Ok(token)
            }
            // Those who have more time try for themselves.
            Err(error) if error.is_of_a_hurry(deadline) => Err(error),
            Err(error) => {
                let wait = (FIRST_WAIT * 2_u32.pow(standing.failures.min(MOST_DOUBLINGS))).min(LONGEST_WAIT);
                let until = Instant::now() + wait.mul_f64(0.5 + fastrand::f64() / 2.0);
                standing.failures = standing.failures.saturating_add(1);
                standing.failed = Some(Failed { error: Arc::new(error.clone()), until });
                Err(error)
            }
        }
    }

    /// The same token with a longer lease, or a new one; as it is, if neither can be had now, or if somebody
    /// else is about it.
    async fn prolonged(&self, token: Arc<Token>, deadline: Instant) -> Arc<Token> {
        let Ok(mut standing) = self.standing.try_lock() else { return token };
        let token = self.token.load_full().unwrap_or(token);
        if token.due(Instant::now()) != Due::Prolongation {
            return token;
        }
        let deadline = deadline.min(Instant::now() + PATIENCE);
        if let Some(stretched) = self.renewed(&token, deadline).await.map(Arc::new) {
            self.token.store(Some(Arc::clone(&stretched)));
            return stretched;
        }
        match self.logged_in(&mut standing, identity, deadline).await {
            Ok(fresh) => fresh,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the Vault token ends soon, and the login failed");
                let token = Arc::new(token.later(Instant::now()));
                self.token.store(Some(Arc::clone(&token)));
                token
            }
        }
    }

    /// The same token with a longer lease, or to be renewed a little later. `None`: only a login helps.
    async fn renewed(&self, token: &Token, deadline: Instant) -> Option<Token> {
        token.lease.filter(|lease| lease.renewable)?;
        let request = Request::of(&RenewTokenSelfRequest::default()).ok()?;
        let outcome = self.client.ask::<serde_json::Value>(&request, Some(&token.secret), deadline).await;
        self.count("token_renewals", outcome.as_ref().map_or_else(VaultError::label, |_| "good"));
        match outcome {
            Ok(answer) => token.stretched(&answer.auth?, Instant::now(), fastrand::f64()),
            Err(error) => error.is_temporary().then(|| token.later(Instant::now())),
        }
    }

    fn count(&self, what: &'static str, outcome: &'static str) {
        let name = format!("{}_vault_{what}_total", self.client.prefix());
        metrics::counter!(name, "outcome" => outcome).increment(1);
    }
}

/// What whoever prolongs a token that still serves, or gives one back, is held up for.
const PATIENCE: Duration = Duration::from_secs(2);

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const MOST_DOUBLINGS: u32 = 8;

impl std::fmt::Debug for VaultSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VaultSession").field("client", &self.client).finish_non_exhaustive()
    }
}
