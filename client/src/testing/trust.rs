//! Who signs for a CA in memory, and whom it says to trust.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::pki_types::CertificateDer;
use signet_identity::{BundleVersion, TrustBundle, TrustDomain, testing::TestAuthority};

/// How a CA stands, as one of its replicas may still do while others have moved on.
#[derive(Debug, Clone)]
pub struct Standing {
    trust_domain: TrustDomain,
    pub(super) authority: Arc<TestAuthority>,
    next: Option<Arc<TestAuthority>>,
    roots: Vec<CertificateDer<'static>>,
    version: Option<BundleVersion>,
}

impl Standing {
    /// A CA with a new root, whose state is made now.
    pub(super) fn new(trust_domain: &TrustDomain, now: SystemTime) -> Self {
        let authority = Arc::new(root(trust_domain, now));
        let epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        Self {
            trust_domain: trust_domain.clone(),
            roots: vec![authority.certificate().der().clone()],
            authority,
            next: None,
            version: Some(BundleVersion { epoch, sequence: 1 }),
        }
    }

    /// Puts a new root in the bundle, under which nothing is signed yet.
    pub fn prepare_root(&mut self, now: SystemTime) {
        let next = root(&self.trust_domain, now);
        self.roots.push(next.certificate().der().clone());
        self.next = Some(Arc::new(next));
        self.change_bundle();
    }

    /// From now on signs under the root that was prepared, if one was.
    pub fn activate_root(&mut self) {
        if let Some(next) = self.next.take() {
            self.authority = next;
        }
    }

    /// Drops all roots but the one that signs.
    pub fn retire_old_roots(&mut self) {
        self.next = None;
        self.roots = vec![self.authority.certificate().der().clone()];
        self.change_bundle();
    }

    /// Loses all it had, and begins anew under another root.
    pub fn remake(&mut self, now: SystemTime) {
        let last = self.version;
        *self = Self::new(&self.trust_domain, now);
        self.version = last.map(|last| BundleVersion { epoch: last.epoch + 1, sequence: 1 });
    }

    /// From now on sends no bundle version, as istiod does.
    pub fn send_no_version(&mut self) {
        self.version = None;
    }

    /// The bundle that the next answer will carry.
    pub fn bundle(&self) -> TrustBundle {
        TrustBundle::new(self.trust_domain.clone(), self.roots.clone(), self.version).unwrap()
    }

    fn change_bundle(&mut self) {
        if let Some(version) = &mut self.version {
            version.sequence += 1;
        }
    }
}

pub(super) fn root(trust_domain: &TrustDomain, now: SystemTime) -> TestAuthority {
    TestAuthority::new(trust_domain.as_str(), now - Duration::from_secs(24 * 3600))
}
