//! Nothing is served that was not verified, and roots reach proxies before leaves under them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use signet_identity::{BundleError, Expected, PublicKey, TrustBundle, TrustDomain, X509Svid};
use tokio::time::Instant;

use super::attempt::Granted;
use crate::{
    bundle::HeldBundle, metrics, moment::Moment, sds::PublishedSecret, secret_cache::SecretCache,
    trouble::Trouble,
};

/// The roots in force, and the judge of what the CA sends.
pub(super) struct Trust {
    held: HeldBundle,
    cache: SecretCache,
    leaves_wait_until: Option<Instant>,
}

/// An SVID that may be served, and when.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) held: Held,
    /// With its key, encoded.
    pub(super) secret: Arc<PublishedSecret>,
    /// Not before this moment: its root may be new to some proxies.
    pub(super) not_before: Option<Instant>,
    /// What became of the roots by the answer that it came with.
    pub(super) roots: Roots,
}

/// What is known of an SVID that serves. Its key is not.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) svid: X509Svid,
    pub(super) public_key: PublicKey,
    /// When the token that it was granted to claims to end.
    pub(super) token_ends: Option<SystemTime>,
}

/// What became of the roots that were held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Roots {
    /// All of them are still held.
    Kept,
    /// Some are not.
    Withdrawn,
}

impl Trust {
    pub(super) fn new(trust_domain: TrustDomain, cache: SecretCache) -> Self {
        Self { held: HeldBundle::empty(trust_domain), cache, leaves_wait_until: None }
    }

    /// Takes in and publishes roots that came without a leaf.
    pub(super) fn take_in(&mut self, told: &TrustBundle, now: Moment) -> Result<Roots, BundleError> {
        let candidate = self.held.with(told, now.wall);
        let bundle = candidate.bundle()?;
        Ok(self.adopt(candidate, &bundle, now))
    }

    /// Whether any roots are known.
    pub(super) fn holds_roots(&self) -> bool {
        !self.held.is_empty()
    }

    /// Verifies the leaf as a peer will, against the newer of the held and the received bundle; a bundle that
    /// comes with a leaf is taken in and published only if the leaf is good.
    pub(super) fn judge(&mut self, granted: Granted, now: Moment) -> Result<Verified, Trouble> {
        let Granted { identity, key, issued, token_ends, shown: _ } = granted;
        let mut candidate = self.held.with(&issued.bundle, now.wall);
        let bundle = candidate.bundle().map_err(Trouble::UselessBundle)?;
        let expected = Expected { identity: &identity, public_key: key.public_key() };
        let svid =
            X509Svid::verify(issued.chain, expected, &bundle, now.wall).map_err(Trouble::UselessSvid)?;
        candidate.saw_leaf_of(svid.validity().lifetime());
        let roots = self.adopt(candidate, &bundle, now);
        let secret = Arc::new(PublishedSecret::certificate(&svid, &key));
        let not_before = self.leaves_wait_until.filter(|until| *until > now.timer);
        let held = Held { svid, public_key: key.public_key().clone(), token_ends };
        Ok(Verified { held, secret, not_before, roots })
    }

    /// Verifies once more what was verified before, as peers will that hold the roots as they are now.
    pub(super) fn judge_again(&self, held: &Held, now: SystemTime) -> Result<(), Trouble> {
        let expected = Expected { identity: held.svid.identity(), public_key: &held.public_key };
        let bundle = self.held.bundle().map_err(Trouble::UselessBundle)?;
        let chain = held.svid.chain().to_vec();
        X509Svid::verify(chain, expected, &bundle, now).map(drop).map_err(Trouble::UselessSvid)
    }

    /// From now on these are the roots.
    fn adopt(&mut self, candidate: HeldBundle, bundle: &TrustBundle, now: Moment) -> Roots {
        if !self.held.is_empty() && candidate.adds_to(&self.held) {
            self.leaves_wait_until = Some(now.timer + ROOTS_TRAVEL);
        }
        let roots = if self.held.adds_to(&candidate) { Roots::Withdrawn } else { Roots::Kept };
        self.held = candidate;
        metrics::bundle(bundle, now.wall);
        self.cache.publish_bundle(Arc::new(PublishedSecret::validation_context(bundle)));
        roots
    }
}

/// Within a second a new root is at every proxy that reads; a leaf under it waits that long. A CA that
/// publishes its next root beforehand never makes anybody wait.
const ROOTS_TRAVEL: Duration = Duration::from_secs(1);
