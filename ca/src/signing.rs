//! Who signs, by configuration: starts the source of the authority, and the driver that follows it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use signet_identity::Clock;
use signet_runtime::operations::Readiness;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    audit::AuditLog,
    authority::{Authority, Standing},
    config::Config,
    store::DirectoryStore,
    trust::{Driver, Origin, Said, Settings},
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
            longest_leaf: config.issuing.policy.max_lifetime().max(SERVING_RENEWED_WITHIN),
            keep_key: config.authority.keep_key,
        };
        let trust_domain = config.identity.trust_domain.clone();
        let mut driver =
            Driver::new(store, trust_domain, settings, Arc::clone(clock), self.readiness.clone()).await;
        let (offers, mut said) = mpsc::channel(1);
        if config.authority.kind == Origin::Local {
            let root = driver.local_root(config.issuing.root_lifetime)?;
            driver.take(root).await.context("cannot sign by the root of the state directory")?;
        }
        self.start_source(offers);
        let standing = self.first_standing(&mut driver, &mut said).await?;
        let authority = Authority::new(standing, self.audit.clone(), Arc::clone(clock));
        self.tasks.spawn(driver.run(authority.clone(), said, self.stop.clone()));
        Ok(authority)
    }

    /// Waits until anything was ever taken: from then on there is at least a bundle to publish.
    async fn first_standing(&self, driver: &mut Driver, said: &mut mpsc::Receiver<Said>) -> Result<Standing> {
        loop {
            if let Some(standing) = driver.standing() {
                return Ok(standing);
            }
            match self.stop.run_until_cancelled(said.recv()).await.flatten() {
                Some(said) => driver.hear(said).await,
                None => bail!("stopped before there was an authority to sign"),
            }
        }
    }

    fn start_source(&self, offers: mpsc::Sender<Said>) {
        let Config { authority, .. } = self.config;
        match authority.kind {
            Origin::Local => {}
            Origin::Injected | Origin::Vault | Origin::VaultIntermediate => {
                let _ = (offers, Duration::ZERO);
            }
        }
    }
}

/// The CA's own certificate is renewed as soon as another authority signs; until then clients need the root of the
/// last one.
const SERVING_RENEWED_WITHIN: Duration = Duration::from_secs(60);
