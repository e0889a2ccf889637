//! One login at a Vault, kept alive.
//!
//! A token is renewed by whoever uses it when two thirds of its lease, give or take, are over, and replaced by a new
//! login when it cannot be stretched any further. One login or renewal is under way at a time, and all who wait for it
//! get its outcome: a Vault that comes back is asked once, not a thousand times.
//!
//! Metrics, after the prefix of the process: `_vault_logins_total` by `outcome`, `_vault_token_renewals_total` by
//! `outcome`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::de::DeserializeOwned;
use tokio::{sync::Mutex, time::Instant};
use vaultrs::api::token::requests::{RenewTokenSelfRequest, RevokeTokenSelfRequest};
use zeroize::Zeroizing;

use super::{
    Login, VaultClient, VaultError,
    answer::{Answer, Auth},
    request::Request,
};

/// A login at one Vault.
pub struct VaultSession {
    client: VaultClient,
    login: Login,
    /// Held while somebody logs in.
    standing: Mutex<Standing>,
    /// How many logins have ended: who waited for one learns so that it did.
    logins: AtomicU64,
}

#[derive(Default)]
struct Standing {
    token: Option<Arc<Token>>,
    failed: Option<Failed>,
    /// Failures in a row.
    failures: u32,
}

/// A token of Vault's. Zeroised when nobody uses it any more.
struct Token {
    secret: Zeroizing<String>,
    obtained: Instant,
    /// `None`: it does not end.
    lease: Option<Lease>,
}

#[derive(Clone, Copy)]
struct Lease {
    ends: Instant,
    renew_at: Instant,
    renewable: bool,
    /// As the login gave it: a renewal that gives much less has met the token's last end.
    full: Duration,
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
        Self { client, login, standing: Mutex::default(), logins: AtomicU64::new(0) }
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
            Err(VaultError::Denied { .. }) if token.obtained.elapsed() > FRESH => {
                let fresh = self.token(Some(&token), deadline).await?;
                self.client.ask(request, Some(&fresh.secret), deadline).await
            }
            answer => answer,
        }
    }

    /// Gives the token back, if there is one.
    ///
    /// # Errors
    /// Vault did not take it: it ends by itself. A batch token cannot be revoked, and that is no error.
    pub async fn close(&self, deadline: Instant) -> Result<(), VaultError> {
        let Some(token) = self.standing.lock().await.token.take() else { return Ok(()) };
        let request = Request::of(&RevokeTokenSelfRequest::default())?;
        match self.client.ask::<serde_json::Value>(&request, Some(&token.secret), deadline).await {
            Ok(_) | Err(VaultError::Refused { .. } | VaultError::Denied { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A token that lives, and is not `dead`.
    async fn token(&self, dead: Option<&Arc<Token>>, deadline: Instant) -> Result<Arc<Token>, VaultError> {
        let seen = self.logins.load(Ordering::Acquire);
        let mut standing = self.standing.lock().await;
        let now = Instant::now();
        if let Some(token) = standing.token.clone() {
            let is_dead = dead.is_some_and(|dead| Arc::ptr_eq(dead, &token));
            match token.due(now) {
                Due::Nothing if !is_dead => return Ok(token),
                Due::Renewal if !is_dead => return Ok(self.renewed(&mut standing, token, deadline).await),
                _ => standing.token = None,
            }
        }
        if let Some(failed) = &standing.failed
            && (now < failed.until || self.logins.load(Ordering::Acquire) != seen)
        {
            return Err(VaultError::Login(Arc::clone(&failed.error)));
        }
        self.logged_in(&mut standing, deadline).await
    }

    async fn logged_in(&self, standing: &mut Standing, deadline: Instant) -> Result<Arc<Token>, VaultError> {
        let outcome = self.login.run(&self.client, deadline).await;
        self.logins.fetch_add(1, Ordering::Release);
        self.count("logins", outcome.as_ref().map_or_else(VaultError::label, |_| "good"));
        match outcome {
            Ok(auth) => {
                let token = Arc::new(Token::of(auth, Instant::now(), fastrand::f64()));
                *standing = Standing { token: Some(Arc::clone(&token)), ..Standing::default() };
                tracing::info!(lease = ?token.lease.map(|lease| lease.full), "logged in at Vault");
                Ok(token)
            }
            Err(error) => {
                let wait = (FIRST_WAIT * 2_u32.pow(standing.failures.min(MOST_DOUBLINGS))).min(LONGEST_WAIT);
                let until = Instant::now() + wait.mul_f64(0.5 + fastrand::f64() / 2.0);
                standing.failures = standing.failures.saturating_add(1);
                standing.failed = Some(Failed { error: Arc::new(error.clone()), until });
                Err(error)
            }
        }
    }

    /// The same token with a longer lease; as it is, if that cannot be had now; or a new one.
    async fn renewed(&self, standing: &mut Standing, token: Arc<Token>, deadline: Instant) -> Arc<Token> {
        let outcome = match Request::of(&RenewTokenSelfRequest::default()) {
            Ok(request) => {
                self.client.ask::<serde_json::Value>(&request, Some(&token.secret), deadline).await
            }
            Err(error) => Err(error),
        };
        let outcome = outcome.map(|answer| answer.auth);
        self.count("token_renewals", outcome.as_ref().map_or_else(VaultError::label, |_| "good"));
        let stretched = match outcome {
            Ok(Some(auth)) => token.stretched(&auth, Instant::now(), fastrand::f64()),
            Err(error) if error.is_temporary() => token.later(Instant::now()),
            Ok(None) | Err(_) => None,
        };
        if let Some(stretched) = stretched.map(Arc::new) {
            standing.token = Some(Arc::clone(&stretched));
            return stretched;
        }
        match self.logged_in(standing, deadline).await {
            Ok(fresh) => fresh,
            Err(error) => {
                tracing::warn!(%error, "the Vault token can be renewed no further, and the login failed; it serves to its end");
                token
            }
        }
    }

    fn count(&self, what: &'static str, outcome: &'static str) {
        let name = format!("{}_vault_{what}_total", self.client.prefix());
        metrics::counter!(name, "outcome" => outcome).increment(1);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Nothing,
    Renewal,
    Login,
}

impl Token {
    /// `jitter` is in [0, 1).
    fn of(auth: Auth, now: Instant, jitter: f64) -> Self {
        let full = Duration::from_secs(auth.lease_duration);
        let lease = (!full.is_zero()).then(|| Lease {
            ends: now + full,
            renew_at: now + renewed_after(full, jitter),
            renewable: auth.renewable,
            full,
        });
        Self { secret: auth.client_token, obtained: now, lease }
    }

    fn due(&self, now: Instant) -> Due {
        match self.lease {
            None => Due::Nothing,
            Some(lease) if now + LAST_MOMENTS >= lease.ends => Due::Login,
            Some(lease) if now < lease.renew_at => Due::Nothing,
            Some(lease) if lease.renewable => Due::Renewal,
            Some(_) => Due::Login,
        }
    }

    /// `None`: what the renewal gave is so little that only a login helps.
    fn stretched(&self, auth: &Auth, now: Instant, jitter: f64) -> Option<Self> {
        let lease = self.lease?;
        let given = Duration::from_secs(auth.lease_duration);
        if given < lease.full / 2 {
            return None;
        }
        let renew_at = now + renewed_after(given, jitter);
        let lease = Lease { ends: now + given, renew_at, renewable: auth.renewable, ..lease };
        Some(Self { secret: self.secret.clone(), obtained: self.obtained, lease: Some(lease) })
    }

    /// The same, to be renewed a little later.
    fn later(&self, now: Instant) -> Option<Self> {
        let lease = self
            .lease
            .map(|lease| Lease { renew_at: now + LONGEST_WAIT.min((lease.ends - now) / 4), ..lease });
        Some(Self { secret: self.secret.clone(), obtained: self.obtained, lease })
    }
}

/// Two thirds of the lease, a tenth of it to either side.
fn renewed_after(lease: Duration, jitter: f64) -> Duration {
    lease.mul_f64(2.0 / 3.0 + (jitter - 0.5) / 5.0)
}

/// A token this young that is denied something is not dead: a policy says no, and another login would not help.
const FRESH: Duration = Duration::from_secs(10);

/// A token that ends so soon may end on its way.
const LAST_MOMENTS: Duration = Duration::from_secs(1);

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const MOST_DOUBLINGS: u32 = 8;

impl std::fmt::Debug for VaultSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VaultSession").field("client", &self.client).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(lease_duration: u64) -> Auth {
        Auth { client_token: Zeroizing::new("s.secret".to_owned()), lease_duration, renewable: true }
    }

    fn batch(lease_duration: u64) -> Auth {
        Auth { renewable: false, ..service(lease_duration) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_at_two_thirds_and_replaced_when_it_cannot_be() {
        let now = Instant::now();
        for (jitter, first) in [(0.0, 56), (0.5, 66), (0.99, 76)] {
            let token = Token::of(service(100), now, jitter);
            assert_eq!(token.due(now + Duration::from_secs(first)), Due::Nothing, "{jitter}");
            assert_eq!(token.due(now + Duration::from_secs(first + 1)), Due::Renewal, "{jitter}");
            assert_eq!(token.due(now + Duration::from_secs(99)), Due::Login, "its last moments");
        }
        let one_of_a_batch = Token::of(batch(100), now, 0.5);
        assert_eq!(one_of_a_batch.due(now + Duration::from_secs(67)), Due::Login);
        let endless = Token::of(batch(0), now, 0.5);
        assert_eq!(endless.due(now + Duration::from_secs(1 << 30)), Due::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_shrinks_below_half_is_worth_a_login() {
        let (now, token) = (Instant::now(), Token::of(service(100), Instant::now(), 0.5));
        let stretched = token.stretched(&service(50), now, 0.5).unwrap();
        assert_eq!(stretched.due(now + Duration::from_secs(32)), Due::Nothing);
        assert_eq!(stretched.due(now + Duration::from_secs(34)), Due::Renewal);
        assert!(token.stretched(&service(49), now, 0.5).is_none());
        let twice = stretched.stretched(&service(49), now, 0.5);
        assert!(twice.is_none(), "half of what the login gave, not of the last renewal");
    }
}
