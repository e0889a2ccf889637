//! Vault alone: the agent logs in there with the workload's own token, and a role signs. No CA of ours takes part.
//!
//! What ties the SPIFFE ID to the token is the role's `allowed_uri_sans_template`: Vault refuses a CSR for anybody else.
//! What comes back is verified before it is served, as from every CA. The roots are those of the issuer that signs, read
//! without a token once a minute, and when a leaf comes under another; so it is known whether Vault can be had, too.

mod issuers;
mod keeper;
pub mod operator;
mod refusal;
mod sessions;
#[cfg(test)]
mod testing;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rustls_pki_types::CertificateDer;
use signet_backends::vault::{IssuerChain, LeafRequest, Signed, VaultClient, VaultConfig, VaultError};
use signet_client::{CaClient, CaError, CaEvent, Issued, Reachability, Token, TokenHash};
use signet_identity::{TrustBundle, TrustDomain};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, timeout_at},
};

pub use self::keeper::VaultKeeper;
use self::{
    issuers::Issuers,
    refusal::{Refuser, Stage},
    sessions::Sessions,
};

/// A Vault that signs for whoever holds a token that it accepts.
///
/// Each token has a session of its own, which ends when the token is released. Nothing is known of Vault until the
/// [`VaultKeeper`] runs.
pub struct VaultCa(Arc<Shared>);

struct Shared {
    client: VaultClient,
    trust_domain: TrustDomain,
    refuser: Refuser,
    sessions: Sessions,
    issuers: watch::Sender<Option<Issuers>>,
    /// Held while somebody looks who signs.
    looking: Mutex<()>,
    reachability: watch::Sender<Reachability>,
    /// That Vault gives less than was asked for is said once.
    told: AtomicBool,
}

impl VaultCa {
    /// With the task that looks after it. At most `most` tokens have a session at once.
    ///
    /// # Errors
    /// A file of the configuration cannot be used.
    pub fn new(
        config: VaultConfig,
        trust_domain: TrustDomain,
        most: usize,
    ) -> Result<(Self, VaultKeeper), VaultError> {
        let client = VaultClient::new(config, "signet_agent")?;
        let (sessions, leaving) = Sessions::new(client.clone(), most);
        let shared = Arc::new(Shared {
            refuser: Refuser::of(client.config(), CALL_DEADLINE),
            client,
            trust_domain,
            sessions,
            issuers: watch::Sender::new(None),
            looking: Mutex::default(),
            reachability: watch::Sender::new(Reachability::Unknown),
            told: AtomicBool::new(false),
        });
        Ok((Self(Arc::clone(&shared)), VaultKeeper::of(shared, leaving)))
    }
}

#[async_trait]
impl CaClient for VaultCa {
    async fn issue(
        &self,
        token: &Token,
        csr_pem: &str,
        lifetime: Option<Duration>,
    ) -> Result<Issued, CaError> {
        let outcome = self.0.ask(token, csr_pem, lifetime).await;
        self.0.hear(refusal::event(outcome.as_ref().err()));
        outcome
    }

    /// Looks anew: the keeper may just have looked, and what it knows would be up to a minute old.
    async fn trust_bundle(&self) -> Result<Option<TrustBundle>, CaError> {
        self.0.roots().await.map(Some)
    }

    fn reachability(&self) -> watch::Receiver<Reachability> {
        self.0.reachability.subscribe()
    }

    fn release(&self, token: TokenHash) {
        self.0.sessions.release(token);
    }
}

impl Shared {
    async fn ask(&self, token: &Token, csr_pem: &str, lifetime: Option<Duration>) -> Result<Issued, CaError> {
        let deadline = Instant::now() + CALL_DEADLINE;
        let identity = refusal::identity_asked_for(csr_pem)?;
        let request = LeafRequest { csr_pem, identity: &identity, dns_names: &[], lifetime };
        let issuers = self.issuers(deadline).await?;
        let chain = self.sign(token, &request, &issuers, deadline).await?;
        let issuers = self.above(&chain, issuers, deadline).await?;
        if let Some(wait) = issuers.wait(&chain, Instant::now()) {
            return Err(refusal::too_early(wait));
        }
        let bundle = issuers.bundle(&self.trust_domain).map_err(refusal::useless_roots)?;
        Ok(Issued { chain, bundle })
    }

    async fn roots(&self) -> Result<TrustBundle, CaError> {
        let deadline = Instant::now() + CALL_DEADLINE;
        let known = self.issuers(deadline).await?;
        let issuers = self.look_past(&known, deadline).await?;
        issuers.bundle(&self.trust_domain).map_err(refusal::useless_roots)
    }

    async fn sign(
        &self,
        token: &Token,
        request: &LeafRequest<'_>,
        issuers: &Issuers,
        deadline: Instant,
    ) -> Result<Vec<CertificateDer<'static>>, CaError> {
        let session = self.sessions.of(token);
        let signed = async {
            session.log_in(deadline).await.map_err(|error| {
                // It would remember that for a while, for a herd that does not come: nobody else has this token.
                self.sessions.release(token.hash());
                (error, Stage::Login)
            })?;
            let role = &self.client.config().pki.role;
            let signed = request.sign(&session, issuers.signs(), role, deadline).await;
            signed.map_err(|error| (error, Stage::Signature))
        };
        let signed = signed.await;
        self.sessions.used(token.hash(), &session);
        let Signed { chain, warnings } =
            signed.map_err(|(error, stage)| self.refuser.refuse(error, stage))?;
        if !warnings.is_empty() && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(?warnings, "Vault does not give what is asked for; this is said once");
        }
        Ok(chain)
    }

    /// The issuers when this was signed: another than was known may have taken its place since the last look.
    async fn above(
        &self,
        chain: &[CertificateDer<'static>],
        known: Issuers,
        deadline: Instant,
    ) -> Result<Issuers, CaError> {
        if known.hold_root_of(chain) { Ok(known) } else { self.look_past(&known, deadline).await }
    }

    /// Who signs, as far as that is known before `deadline`.
    async fn issuers(&self, deadline: Instant) -> Result<Issuers, CaError> {
        let mut issuers = self.issuers.subscribe();
        let known = timeout_at(deadline, issuers.wait_for(Option::is_some)).await;
        let known = known.ok().and_then(Result::ok).and_then(|known| known.clone());
        known.ok_or_else(|| self.refuser.nobody_signs(self.client.away()))
    }

    /// Looks anew, unless somebody else has found out more than is in `known`.
    async fn look_past(&self, known: &Issuers, deadline: Instant) -> Result<Issuers, CaError> {
        let looking = timeout_at(deadline, self.looking.lock()).await;
        let _alone = looking.map_err(|_| self.refuser.refuse(VaultError::NoTime, Stage::Signature))?;
        let newer = self.issuers.borrow().clone().filter(|now| now != known);
        match newer {
            Some(newer) => Ok(newer),
            None => self.look(deadline).await.map_err(|error| self.refuser.refuse(error, Stage::Signature)),
        }
    }

    async fn look(&self, deadline: Instant) -> Result<Issuers, VaultError> {
        let found = IssuerChain::read(&self.client, deadline).await?;
        let path = found.path(&self.client.config().pki);
        let before = self.issuers.borrow().clone();
        let now = Issuers::after(before, found, path, Instant::now());
        let is_news = self.issuers.send_if_modified(|held| {
            let is_news = held.as_ref() != Some(&now);
            *held = Some(now.clone());
            is_news
        });
        if is_news {
            // As over a new connection: whoever hears of it asks for the roots at once.
            self.reachability.send_modify(|_| {});
        }
        Ok(now)
    }

    fn hear(&self, event: Option<CaEvent>) {
        let Some(event) = event else { return };
        self.reachability.send_if_modified(|state| {
            let before = std::mem::replace(state, state.after(event));
            *state != before
        });
    }
}

/// As of a call to any other CA.
const CALL_DEADLINE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
