//! Nothing is served that was not verified, and roots reach proxies before leaves under them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use signet_identity::{Expected, PublicKey, TrustDomain, X509Svid};
use tokio::time::Instant;

use super::attempt::Granted;
use crate::{
    bundle::HeldBundle, moment::Moment, sds::PublishedSecret, secret_cache::SecretCache, trouble::Trouble,
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

    /// Verifies the leaf as a peer will, against the newer of the held and the received bundle; only a bundle
    /// that comes with a good leaf is taken in and published.
    pub(super) fn judge(&mut self, granted: Granted, now: Moment) -> Result<Verified, Trouble> {
        let Granted { identity, key, issued, token_ends, shown: _ } = granted;
        let mut candidate = self.held.with(&issued.bundle, now.wall);
        let bundle = candidate.bundle().map_err(Trouble::UselessBundle)?;
        let expected = Expected { identity: &identity, public_key: key.public_key() };
        let svid =
            X509Svid::verify(issued.chain, expected, &bundle, now.wall).map_err(Trouble::UselessSvid)?;
        candidate.saw_leaf_of(svid.validity().lifetime());
        if !self.held.is_empty() && candidate.adds_to(&self.held) {
            self.leaves_wait_until = Some(now.timer + ROOTS_TRAVEL);
        }
        let roots = if self.held.adds_to(&candidate) { Roots::Withdrawn } else { Roots::Kept };
        self.held = candidate;
        self.cache.publish_bundle(Arc::new(PublishedSecret::validation_context(&bundle)));
        let secret = Arc::new(PublishedSecret::certificate(&svid, &key));
        let not_before = self.leaves_wait_until.filter(|until| *until > now.timer);
        let held = Held { svid, public_key: key.public_key().clone(), token_ends };
        Ok(Verified { held, secret, not_before, roots })
    }

    /// Whether peers that hold these roots accept what was verified before.
    pub(super) fn accepts(&self, held: &Held, now: SystemTime) -> bool {
        let expected = Expected { identity: held.svid.identity(), public_key: &held.public_key };
        self.held
            .bundle()
            .is_ok_and(|bundle| X509Svid::verify(held.svid.chain().to_vec(), expected, &bundle, now).is_ok())
    }
}

/// Within a second a new root is at every proxy that reads; a leaf under it waits that long. A CA that
/// publishes its next root beforehand never makes anybody wait.
const ROOTS_TRAVEL: Duration = Duration::from_secs(1);
