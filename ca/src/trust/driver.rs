//! Turns offers and the passing of time into the standing of the authority: proves, decides, persists, publishes.
//!
//! Each change is durable in the state directory before anybody sees it, so that a crash between the two repeats it
//! and never forgets it. An offer that does not prove itself, or cannot be made durable, changes nothing.
//!
//! Metrics: `signet_ca_authority_signs` (by `kind`: 1 for the one that can sign now), `signet_ca_trust_stage` (by
//! `stage`: 1 for where it stands), `signet_ca_bundle_sequence`, `signet_ca_bundle_roots`, `signet_ca_next_authority_activates_timestamp_seconds` (0: there is none),
//! `signet_ca_authority_offers_total` by `outcome` (`taken`, `refused`, `absent`: the source had none).

#[cfg(test)]
mod tests;
mod turns;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use self::turns::Trouble;
use super::{
    KnownAuthority, Offer, OfferedSigner, Origin, SourceFault, Terms, Trust,
    signers::{Able, NotAble, Signers},
    words::Follows,
};
use crate::{
    authority::Standing,
    store::{DirectoryStore, Held, StoreError},
};
use signet_identity::{Clock, TrustDomain};
use signet_runtime::{operations::Readiness, telemetry::chain};

/// What a source says.
pub type Said = Result<Offer, SourceFault>;

/// How changes of trust are made.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// From a new root in the bundle to the first leaf under it.
    pub overlap: Duration,
    /// What the longest leaf may live, the CA's own certificate among them.
    pub longest_leaf: Duration,
    /// Whether a key that only this process has is copied into the state directory while another authority is to
    /// follow: a restart could not sign meanwhile.
    pub keep_key: bool,
}

/// The one task that changes who signs and who is trusted.
pub struct Driver {
    store: DirectoryStore,
    trust_domain: TrustDomain,
    settings: Settings,
    clock: Arc<dyn Clock>,
    readiness: Readiness,
    signers: Signers,
    trouble: Trouble,
}

/// Why an offer changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum OfferRefused {
    /// It cannot sign, or nobody would believe it.
    #[error(transparent)]
    NotAble(#[from] NotAble),
    /// It is not under the roots of the one that it should go on as.
    #[error("it is another authority than the one that signed until now")]
    Another,
    /// It cannot be made durable.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Driver {
    /// Takes the state over. Authorities whose keys it holds can sign from here on; the others are waited for.
    pub async fn new(
        store: DirectoryStore,
        trust_domain: TrustDomain,
        settings: Settings,
        clock: Arc<dyn Clock>,
        readiness: Readiness,
    ) -> Self {
        let (signers, trouble) = (Signers::default(), Trouble::default());
        let mut driver = Self { store, trust_domain, settings, clock, readiness, signers, trouble };
        if let Some(Held { trust, .. }) = driver.store.held().cloned() {
            driver.signers.active = driver.by_stored_key(trust.active()).await;
            if let Some(next) = trust.next() {
                driver.signers.next = driver.by_stored_key(next).await;
            }
        }
        driver
    }

    /// The root that this CA makes for itself, as an offer.
    ///
    /// # Errors
    /// Its key cannot be read, or none can be made.
    pub fn local_root(&self, lifetime: Duration) -> Result<Offer, StoreError> {
        let (known, key) = self.store.local_root(lifetime, self.clock.now())?;
        Ok(Offer {
            origin: known.origin,
            certificate: known.certificate,
            intermediates: known.intermediates,
            roots: known.roots,
            signer: OfferedSigner::Key(Arc::new(key), known.key),
            ends_the_last: false,
        })
    }

    /// How things stand, unless nothing was ever offered and taken.
    pub fn standing(&self) -> Option<Standing> {
        let active = self.signers.active.as_ref().map(|able| able.active.clone());
        let followed_at = match self.follows(self.clock.now()) {
            Some(Follows::At(time)) => Some(time),
            _ => None,
        };
        Some(Standing::new(active, self.store.held()?.bundle.clone()).followed_at(followed_at))
    }

    /// When the next authority begins to sign, if one waits.
    fn follows(&self, now: SystemTime) -> Option<Follows> {
        let at = self.store.held()?.trust.activation(self.terms(&self.signers, now))?;
        Some(if at > now || self.signers.next_signs(now) { Follows::At(at) } else { Follows::WhenItCanSign })
    }

    /// Where the authority comes from that signed in the last run, if it cannot sign in this one yet.
    pub fn silent_origin(&self) -> Option<Origin> {
        let held = self.store.held()?;
        self.signers.active.is_none().then(|| held.trust.active().origin)
    }

    /// Lets the authority that signed in the last run go on. What waits to follow on it goes on waiting.
    ///
    /// # Errors
    /// It is not that one, or see [`OfferRefused`].
    pub async fn revive(&mut self, offer: Offer) -> Result<(), OfferRefused> {
        let (now, known) = (self.clock.now(), offer.known());
        let Some(trust) = self.store.held().and_then(|held| held.trust.clone().revived(known.clone())) else {
            return Err(OfferRefused::Another);
        };
        let able = Able::proven(&known, offer.signer, &self.trust_domain, now).await?;
        let signers = Signers { active: Some(able), next: self.signers.next.clone() };
        Ok(self.adopt(trust, signers, now)?)
    }

    /// Takes what a source offers, or refuses it.
    ///
    /// # Errors
    /// See [`OfferRefused`]. Everything is as it was.
    pub async fn take(&mut self, offer: Offer) -> Result<(), OfferRefused> {
        let (now, offered, ends_the_last) = (self.clock.now(), offer.known(), offer.ends_the_last);
        let able = Able::proven(&offered, offer.signer, &self.trust_domain, now).await?;
        let Some(Held { trust: before, .. }) = self.store.held() else {
            return Ok(self.adopt(
                Trust::steady(offered),
                Signers { active: Some(able), next: None },
                now,
            )?);
        };
        let trust = before.clone().offered(offered, now);
        let mut signers = self.signers.clone();
        if trust.next().is_none() {
            signers = Signers { active: Some(able), next: None };
        } else {
            signers.next = Some(able);
            let same_source = trust.next().map(|next| next.origin) == Some(trust.active().origin);
            if ends_the_last && same_source {
                signers.active = None;
            }
        }
        Ok(self.adopt(trust, signers, now)?)
    }

    /// Lets time do what it does.
    ///
    /// # Errors
    /// What it brings cannot be made durable; it is as it was, and tried again.
    pub fn step(&mut self) -> Result<(), StoreError> {
        let Some(Held { trust, .. }) = self.store.held().cloned() else { return Ok(()) };
        self.adopt(trust, self.signers.clone(), self.clock.now())?;
        self.store.follow()
    }

    async fn by_stored_key(&self, known: &KnownAuthority) -> Option<Able> {
        let stored = known.key.clone()?;
        let key = self.store.read_key(&stored, &known.certificate);
        let signer = key.map(|key| OfferedSigner::Key(Arc::new(key), Some(stored)));
        let able = match signer {
            Ok(signer) => Able::proven(known, signer, &self.trust_domain, self.clock.now()).await,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "a key that was kept cannot be used");
                return None;
            }
        };
        able.map_err(|error| tracing::warn!(error = %chain(&error), "a stored authority cannot sign")).ok()
    }

    /// Makes `trust`, as it is at `now`, durable; then it is what counts.
    fn adopt(&mut self, trust: Trust, signers: Signers, now: SystemTime) -> Result<(), StoreError> {
        let terms = self.terms(&signers, now);
        // One that cannot sign takes nobody's place, however long its root has travelled.
        let mut after = match signers.next_signs(now) {
            true => trust.clone().stepped(terms, now),
            false => trust.clone().aged(terms, now),
        };
        let signers = signers.following(&trust, &after);
        self.keep_what_a_restart_needs(&mut after, &signers)?;
        let before = self.store.held().map(|held| &held.trust);
        if before != Some(&after) {
            let news = News::between(before, &after);
            self.store.commit(after, now)?;
            news.tell();
            if let Err(error) = self.store.follow() {
                tracing::error!(error = %chain(&error), "{FOLLOWS_LATER}");
            }
        }
        self.signers = signers;
        Ok(())
    }

    /// A copy of the active authority's key, while another waits and only this process has the key.
    fn keep_what_a_restart_needs(&self, trust: &mut Trust, signers: &Signers) -> Result<(), StoreError> {
        let waits = trust.next().is_some();
        if !waits {
            trust.forget_kept_key();
        } else if self.settings.keep_key
            && trust.active().key.is_none()
            && let Some(key) = signers.active.as_ref().and_then(|able| able.key.as_ref())
        {
            trust.active.key = Some(self.store.keep_key(key)?);
        }
        Ok(())
    }

    fn terms(&self, signers: &Signers, now: SystemTime) -> Terms {
        let Settings { overlap, longest_leaf, .. } = self.settings;
        let terms = Terms { overlap, longest_leaf };
        if signers.active_signs(now) { terms } else { terms.hastened() }
    }
}

/// What the log says of a change.
struct News {
    stage: &'static str,
    roots: usize,
    active: String,
    next: String,
    was: String,
    origin: &'static str,
}

impl News {
    fn between(before: Option<&Trust>, after: &Trust) -> Self {
        let key_id = |known: &KnownAuthority| known.certificate.key_id();
        Self {
            stage: after.stage().name(),
            roots: after.roots().count(),
            active: key_id(after.active()),
            next: after.next().map(key_id).unwrap_or_default(),
            was: before.map(|before| key_id(before.active())).unwrap_or_default(),
            origin: after.active().origin.name(),
        }
    }

    fn tell(self) {
        let Self { stage, roots, active, next, was, origin } = self;
        tracing::info!(stage, roots, active, next, was, origin, "trust changes");
    }
}

const FOLLOWS_LATER: &str =
    "trust has changed, and the state directory does not follow yet; it is tried again";
