//! Who signs, by configuration: starts the source of the authority, and the driver that follows it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use signet_backends::{
    injected::{self, Watch, WatchConfig},
    vault::{Login, VaultClient, VaultSession},
};
use signet_identity::Clock;
use signet_runtime::operations::Readiness;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    audit::AuditLog,
    authority::Authority,
    config::{Config, InjectedConfig},
    store::DirectoryStore,
    trust::{
        Driver, Offer, Origin, Settings,
        sources::{self, Listener},
    },
};

/// What is needed to start.
pub(crate) struct Signing<'a> {
    pub(crate) config: &'a Config,
    pub(crate) audit: &'a AuditLog,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) readiness: Readiness,
    pub(crate) tasks: &'a TaskTracker,
    pub(crate) stop: &'a CancellationToken,
}

impl Signing<'_> {
    /// Starts the source and the driver. When it returns, somebody signs, or will without anybody's help.
    ///
    /// # Errors
    /// The state has no root and none can be made; or `stop` came first.
    pub(crate) async fn start(self, store: DirectoryStore) -> Result<Authority> {
        let Self { config, clock, .. } = self;
        let settings = Settings {
            overlap: config.authority.overlap,
            longest_leaf: config.issuing.policy.max_lifetime().max(SERVING_RENEWED_WITHIN) + LAST_WORDS,
            keep_key: config.authority.keep_key,
        };
        let trust_domain = config.identity.trust_domain.clone();
        let mut driver =
            Driver::new(store, trust_domain, settings, Arc::clone(clock), self.readiness.clone()).await;
        let (offers, mut said) = mpsc::channel(1);
        let _stopped = self.stop.run_until_cancelled(self.revive(&mut driver)).await;
        match config.authority.kind {
            Origin::Local => {
                let root = driver.local_root(config.issuing.root_lifetime)?;
                driver.take(root).await.context("cannot sign by the root of the state directory")?;
            }
            kind => self.start_source(kind, Listener::new(offers))?,
        }
        let standing = self.stop.run_until_cancelled(driver.first_standing(&mut said)).await;
        let standing = standing.context("stopped before there was an authority to sign")?;
        let authority = Authority::new(standing, self.audit.clone(), Arc::clone(clock));
        self.tasks.spawn(driver.run(authority.clone(), said, self.stop.clone()));
        Ok(authority)
    }

    fn start_source(&self, kind: Origin, listener: Listener) -> Result<()> {
        let stop = self.stop.clone();
        match kind {
            Origin::Local => {}
            Origin::Injected => {
                let source = sources::injected::run(self.watch(), listener);
                self.tasks.spawn(async move { stop.run_until_cancelled(source).await });
            }
            Origin::Vault => {
                let source = sources::vault::run(self.vault()?, listener);
                self.tasks.spawn(async move { stop.run_until_cancelled(source).await });
            }
            Origin::VaultIntermediate => {
                let source = self.keeper()?.run(listener);
                self.tasks.spawn(async move { stop.run_until_cancelled(source).await });
            }
        }
        Ok(())
    }

    /// Lets the authority that signed in the last run go on, if another kind is configured now and what it needs is
    /// still there: else nothing could be signed until the new one may follow.
    async fn revive(&self, driver: &mut Driver) {
        let Some(silent) = driver.silent_origin().filter(|silent| *silent != self.config.authority.kind)
        else {
            return;
        };
        let offered = match self.as_it_was(silent).await {
            Ok(Some(offer)) => driver.revive(offer).await.map_err(anyhow::Error::from),
            Ok(None) => return,
            Err(error) => Err(error),
        };
        match offered {
            Ok(()) => tracing::info!(
                origin = silent.name(),
                "the authority of the last run goes on until another may follow"
            ),
            Err(error) => tracing::warn!(
                origin = silent.name(),
                error = format!("{error:#}"),
                "the authority of the last run cannot go on; nothing is issued until the next one may follow"
            ),
        }
    }

    /// What the source of the last run would offer.
    async fn as_it_was(&self, origin: Origin) -> Result<Option<Offer>> {
        Ok(match origin {
            Origin::Local => None,
            Origin::Injected => {
                let directory = &self.config.injected.directory;
                let set = injected::read(directory, self.clock.now(), Duration::ZERO)?;
                Some(sources::injected::offer(set))
            }
            Origin::Vault => {
                let session = self.vault()?;
                let issuer = sources::vault::look(&session).await?;
                // Nobody looks again: another kind is configured.
                Some(sources::vault::offer(&session, &issuer, &Arc::default()))
            }
            Origin::VaultIntermediate => Some(sources::intermediate::offer(self.keeper()?.obtain().await?)),
        })
    }

    fn watch(&self) -> Watch {
        let InjectedConfig { directory, poll } = self.config.injected.clone();
        Watch::new(WatchConfig { directory, poll, min_remaining: USEFUL_FOR }, Arc::clone(self.clock))
    }

    fn keeper(&self) -> Result<sources::intermediate::Keeper> {
        Ok(sources::intermediate::Keeper {
            session: self.vault()?,
            trust_domain: self.config.identity.trust_domain.clone(),
            clock: Arc::clone(self.clock),
        })
    }

    fn vault(&self) -> Result<Arc<VaultSession>> {
        let config = self.config.vault.clone().context("`[vault]` is not configured")?;
        let client = VaultClient::new(config, "signet_ca").context("cannot set up the Vault client")?;
        Ok(Arc::new(VaultSession::new(client, Login::Configured)))
    }
}

/// The CA's own certificate is renewed as soon as another authority signs; until then clients need the root of the
/// last one.
const SERVING_RENEWED_WITHIN: Duration = Duration::from_secs(60);

/// What a leaf may live past its lifetime, since Vault's clock differs from ours, and what passes until the last request
/// is answered that saw the last authority.
const LAST_WORDS: Duration = Duration::from_secs(120);

/// A set of files that ends sooner is no successor of one that signs. A start takes what there is.
const USEFUL_FOR: Duration = Duration::from_secs(600);
