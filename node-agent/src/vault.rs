//! Vault alone: the agent logs in there with the workload's own token, and a role signs. No CA of ours takes part.
//!
//! What ties the SPIFFE ID to the token is the role's `allowed_uri_sans_template`; the agent asks for what the token
//! claims, and a lie is refused there. What comes back is verified before it is served, as from every CA. The roots are
//! those of the issuer that signs, read without a token once a minute; so is whether Vault can be had.

mod issuers;
mod refusal;
mod sessions;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use signet_backends::vault::{IssuerChain, LeafRequest, VaultClient, VaultConfig, VaultError};
use signet_client::{CaClient, CaError, Issued, Reachability, Token, TokenHash};
use signet_identity::TrustDomain;
use signet_runtime::telemetry::chain;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use self::{issuers::Issuers, refusal::Stage, sessions::Sessions};

/// A Vault that signs for whoever holds a token that it accepts.
pub(crate) struct VaultCa {
    shared: Arc<Shared>,
    sessions: Sessions,
    /// Ends with this value.
    _watching: JoinSet<()>,
}

struct Shared {
    client: VaultClient,
    trust_domain: TrustDomain,
    ca_audience: String,
    issuers: watch::Sender<Option<Issuers>>,
    reachability: watch::Sender<Reachability>,
}

impl VaultCa {
    /// Begins to look for it, on the runtime that this is called from. Tokens that are for `ca_audience` too are
    /// shown to nobody; at most `most` workloads are logged in at once.
    ///
    /// # Errors
    /// A file of the configuration cannot be used.
    pub(crate) fn new(
        config: VaultConfig,
        trust_domain: TrustDomain,
        ca_audience: String,
        most: usize,
    ) -> Result<Self, VaultError> {
        let client = VaultClient::new(config, "signet_agent")?;
        let shared = Arc::new(Shared {
            client,
            trust_domain,
            ca_audience,
            issuers: watch::Sender::new(None),
            reachability: watch::Sender::new(Reachability::Unknown),
        });
        let mut watching = JoinSet::new();
        watching.spawn(Arc::clone(&shared).watch());
        Ok(Self { sessions: Sessions::new(shared.client.clone(), most), shared, _watching: watching })
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
        let deadline = Instant::now() + CALL_DEADLINE;
        let shared = &*self.shared;
        refusal::refuse_if_for(token, &shared.ca_audience)?;
        let workload = token.claims().ok().and_then(|claims| claims.workload(&shared.trust_domain));
        let identity = workload.ok_or_else(refusal::names_nobody)?;
        let issuers = shared.issuers(deadline).await?;
        let session = self.sessions.of(token);
        session.log_in(deadline).await.map_err(|error| shared.told(error, Stage::Login))?;
        let role = &shared.client.config().pki.role;
        let request = LeafRequest { csr_pem, identity: &identity, dns_names: &[], lifetime };
        let signed = request.sign(&session, issuers.signs(), role, deadline).await;
        let signed = signed.map_err(|error| shared.told(error, Stage::Signature))?;
        shared.reachability.send_replace(Reachability::Reachable);
        let bundle = issuers.bundle(&shared.trust_domain).map_err(refusal::useless_roots)?;
        Ok(Issued { chain: signed.chain, bundle })
    }

    fn reachability(&self) -> watch::Receiver<Reachability> {
        self.shared.reachability.subscribe()
    }

    fn release(&self, token: TokenHash) {
        self.sessions.release(token);
    }
}

impl Shared {
    /// Looks who signs, once a minute; more often while Vault is away.
    async fn watch(self: Arc<Self>) {
        let mut pause = FIRST_RETRY;
        loop {
            match IssuerChain::read(&self.client, Instant::now() + CALL_DEADLINE).await {
                Ok(found) => {
                    self.note(found);
                    pause = FIRST_RETRY;
                    sleep(self.next_look()).await;
                }
                Err(error) => {
                    let state = refusal::reachability(&error);
                    if self.reachability.send_replace(state) != state {
                        tracing::warn!(error = %chain(&error), "Vault does not say who signs; what is held goes on serving");
                    }
                    sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                    pause = (pause * 2).min(LONGEST_RETRY);
                }
            }
        }
    }

    fn note(&self, found: IssuerChain) {
        let path = found.path(&self.client.config().pki);
        self.issuers.send_if_modified(|issuers| {
            let before = issuers.clone();
            *issuers = Some(Issuers::after(issuers.take(), found, path, Instant::now()));
            *issuers != before
        });
        self.reachability.send_if_modified(|state| {
            std::mem::replace(state, Reachability::Reachable) != Reachability::Reachable
        });
    }

    fn next_look(&self) -> Duration {
        let due = self.issuers.borrow().as_ref().and_then(Issuers::next_change);
        due.map_or(LOOK_EVERY, |due| due.saturating_duration_since(Instant::now()).min(LOOK_EVERY))
            .max(FIRST_RETRY)
    }

    /// Who signs, as far as that is known before `deadline`.
    async fn issuers(&self, deadline: Instant) -> Result<Issuers, CaError> {
        let mut issuers = self.issuers.subscribe();
        let known = tokio::time::timeout_at(deadline, issuers.wait_for(Option::is_some)).await;
        match known {
            Ok(Ok(known)) => known.clone().ok_or_else(|| refusal::away(&self.client)),
            Ok(Err(_)) | Err(_) => Err(refusal::away(&self.client)),
        }
    }

    /// What a failure means to the workload; and what it says about Vault.
    fn told(&self, error: VaultError, stage: Stage) -> CaError {
        let state = refusal::reachability(&error);
        self.reachability.send_if_modified(|now| std::mem::replace(now, state) != state);
        refusal::of(error, stage, &self.client)
    }
}

/// As of a call to any other CA.
const CALL_DEADLINE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_secs(60);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(5);
