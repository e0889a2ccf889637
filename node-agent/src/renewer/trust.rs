//! Nothing is served that was not verified, and roots reach proxies before leaves under them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use signet_identity::{Expected, TrustDomain, X509Svid};

use super::attempt::Granted;
use crate::{bundle::HeldBundle, sds::PublishedSecret, secret_cache::SecretCache, trouble::Trouble};

/// The bundle in force and the judge of what the CA sends.
pub(super) struct Trust {
    held: HeldBundle,
    cache: SecretCache,
    leaves_wait_until: Option<SystemTime>,
}

/// A verified SVID, encoded, and when it may be served.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) svid: X509Svid,
    pub(super) secret: Arc<PublishedSecret>,
    pub(super) token_ends: Option<SystemTime>,
    /// Not before this moment: its root may be new to some proxies.
    pub(super) not_before: Option<SystemTime>,
}

impl Trust {
    pub(super) fn new(trust_domain: TrustDomain, cache: SecretCache) -> Self {
        Self { held: HeldBundle::empty(trust_domain), cache, leaves_wait_until: None }
    }

    /// Verifies the leaf as a peer will, against the newer of the held and the received bundle; only a bundle
    /// that comes with a good leaf is taken in and published.
    pub(super) fn judge(&mut self, granted: Granted, now: SystemTime) -> Result<Verified, Trouble> {
        let Granted { identity, key, issued, token_ends } = granted;
        let mut candidate = self.held.with(&issued.bundle, now);
        let bundle = candidate.bundle().map_err(Trouble::UselessBundle)?;
        let expected = Expected { identity: &identity, public_key: key.public_key() };
        let svid = X509Svid::verify(issued.chain, expected, &bundle, now).map_err(Trouble::UselessSvid)?;
        candidate.saw_leaf_of(svid.validity().lifetime());
        if !self.held.is_empty() && candidate.adds_to(&self.held) {
            self.leaves_wait_until = Some(now + ROOTS_TRAVEL);
        }
        self.held = candidate;
        self.cache.publish_bundle(Arc::new(PublishedSecret::validation_context(&bundle)));
        let secret = Arc::new(PublishedSecret::certificate(&svid, &key));
        let not_before = self.leaves_wait_until.filter(|until| *until > now);
        Ok(Verified { svid, secret, token_ends, not_before })
    }
}

/// Within a second a new root is at every proxy that reads; a leaf under it waits that long. A CA that
/// publishes its next root beforehand never makes anybody wait.
const ROOTS_TRAVEL: Duration = Duration::from_secs(1);
