//! The roots without a leaf: an agent whose leaves are not due, or that has none, learns of a new one in
//! time.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use signet_client::CaError;
use signet_identity::{BundleError, TrustBundle};
use signet_runtime::telemetry::chain;
use tokio::time::Instant;

use super::{
    Renewer,
    bundle_poll::Ended,
    calls::Done,
    trust::{Roots, Trust},
};
use crate::{metrics, secret_cache::RootsCome};

/// What became of a question for the roots; `None`: this CA does not tell them alone.
pub(super) type Told = Result<Option<TrustBundle>, NotTold>;

/// Why the CA's roots were not learned.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTold {
    /// There was no answer, or none that makes sense.
    #[error(transparent)]
    Ca(CaError),
    /// Together with those that are held they make none.
    #[error("the CA's roots are of no use; tell the operator of the CA")]
    Useless(#[from] BundleError),
    /// The question panicked.
    #[error("a bug of the agent; what the agent wrote to its standard error tells where")]
    Bug,
}

impl NotTold {
    /// Whether asking for an SVID, and for the roots with it, would have fared no better.
    fn is_absence(&self) -> bool {
        matches!(self, Self::Ca(error) if error.is_absence())
    }

    fn ended(&self, trust: &Trust) -> Ended {
        let at_least = match self {
            Self::Ca(error) => error.retry_after(),
            Self::Useless(_) | Self::Bug => None,
        };
        Ended::Failed { at_least: at_least.unwrap_or_default(), holds_roots: trust.holds_roots() }
    }
}

impl Renewer {
    /// Asks, if it is time.
    pub(super) fn ask_for_roots(&mut self) {
        if !self.poll.begins(*self.reachability.borrow(), Instant::now()) {
            return;
        }
        let ca = Arc::clone(&self.ca);
        self.calls.spawn(async move {
            // A panic is an end like any other: else it were the last question.
            let told = AssertUnwindSafe(ca.trust_bundle()).catch_unwind().await;
            Done::Told(told.map_or(Err(NotTold::Bug), |told| told.map_err(NotTold::Ca)))
        });
    }

    /// Takes in what the CA told over its pinned connection, as it does what comes with a leaf.
    pub(super) fn hear_of_roots(&mut self, told: Told) {
        let now = self.now();
        let taken = told.and_then(|bundle| match bundle {
            Some(bundle) => Ok(Some(self.trust.take_in(&bundle, now)?)),
            None => Ok(None),
        });
        match &taken {
            Ok(_) if self.poll.failures() > 0 => tracing::info!("the CA tells its roots again"),
            Ok(_) => {}
            Err(error) if self.poll.failures() == 0 => {
                let error = chain(error);
                tracing::warn!(%error, "the CA does not tell its roots; what is held goes on serving");
            }
            Err(error) => tracing::debug!(error = %chain(error), "the CA still does not tell its roots"),
        }
        let ended = match &taken {
            Ok(Some(_)) => Ended::Told,
            Ok(None) => Ended::NotOffered,
            Err(error) => error.ended(&self.trust),
        };
        metrics::bundle_poll_ended(ended.outcome());
        self.poll.ended(ended, now.timer, fastrand::f64());
        // Whoever waits for roots alone gets them with an SVID, if that is the only way.
        match &taken {
            Ok(Some(_)) => self.cache.roots_come(RootsCome::Alone),
            Err(error) if error.is_absence() => {}
            Ok(None) | Err(_) => self.cache.roots_come(RootsCome::WithSvids),
        }
        if matches!(taken, Ok(Some(Roots::Withdrawn))) {
            self.hasten_orphans(now);
        }
    }
}
