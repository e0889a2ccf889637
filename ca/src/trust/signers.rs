//! Which of the remembered authorities can sign in this process, and by what.

use std::{sync::Arc, time::SystemTime};

use signet_backends::{Assembler, LocalSigner};
use signet_identity::{BundleError, SigningKey, TrustBundle, TrustDomain};

use super::{KnownAuthority, Trust, offer::OfferedSigner};
use crate::authority::{Active, AuthorityError};

/// Those of the active and the next authority that can sign.
#[derive(Clone, Default)]
pub(super) struct Signers {
    pub(super) active: Option<Able>,
    pub(super) next: Option<Able>,
}

/// An authority that was proven able to sign.
#[derive(Clone)]
pub(super) struct Able {
    pub(super) active: Active,
    /// If it signs by a key in this process.
    pub(super) key: Option<Arc<SigningKey>>,
}

/// Why an authority is not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotAble {
    /// What it signs would not be accepted.
    #[error(transparent)]
    NotProven(#[from] AuthorityError),
    /// Its roots are no bundle.
    #[error("its roots cannot be a trust bundle")]
    Roots(#[from] BundleError),
    /// Its certificate leads to none of its roots.
    #[error(
        "the certificate of authority {key_id} does not lead to any of the roots that come with it; hand over the \
         root that it was signed under, and what stands between"
    )]
    NoAnchor {
        /// Of its certificate.
        key_id: String,
    },
}

impl Able {
    /// Proves that `signer` signs as `known`, for peers that hold the roots that it leads to.
    pub(super) async fn proven(
        known: &KnownAuthority,
        signer: OfferedSigner,
        trust_domain: &TrustDomain,
        now: SystemTime,
    ) -> Result<Self, NotAble> {
        let anchors: Vec<_> = known.anchors().into_iter().cloned().collect();
        if anchors.is_empty() {
            return Err(NotAble::NoAnchor { key_id: known.certificate.key_id() });
        }
        let bundle = TrustBundle::new(trust_domain.clone(), anchors, None)?;
        Ok(match signer {
            OfferedSigner::Key(key, _) => {
                let signer = Arc::new(LocalSigner::new(Arc::clone(&key)));
                let certificate = known.certificate.clone().ending_by(known.end());
                let assembler = Assembler::new(signer, certificate, known.intermediates.clone());
                Self { active: Active::here(assembler, bundle, now).await?, key: Some(key) }
            }
            OfferedSigner::Foreign(foreign) => {
                Self { active: Active::there(foreign, known.certificate.clone(), bundle), key: None }
            }
        })
    }
}

impl Signers {
    /// Whether the active authority can sign at `now`.
    pub(super) fn active_signs(&self, now: SystemTime) -> bool {
        self.active.as_ref().is_some_and(|able| able.active.judge(now).is_ok())
    }

    /// Whether the next authority could.
    pub(super) fn next_signs(&self, now: SystemTime) -> bool {
        self.next.as_ref().is_some_and(|able| able.active.judge(now).is_ok())
    }

    /// The same signers where `after` has followed on `before`.
    pub(super) fn following(self, before: &Trust, after: &Trust) -> Self {
        match (before.next(), after.next()) {
            (Some(_), None) => Self { active: self.next, next: None },
            _ => self,
        }
    }
}
