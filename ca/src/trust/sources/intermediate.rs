//! Vault signs an intermediate of ours: the source has it renewed at half of its life, and when Vault signs by another
//! issuer.

use std::{sync::Arc, time::Duration};

use signet_backends::vault::{IntermediateError, IssuerChain, VaultIntermediate, VaultSession};
use signet_identity::{Clock, TrustDomain};
use signet_runtime::telemetry::chain;
use tokio::time::sleep;

use super::{LOOK_EVERY, Listener, patience};
use crate::trust::{Offer, OfferedSigner, Origin, SourceFault};

/// Has an intermediate signed, and offers it; again and again.
pub(crate) struct Keeper {
    pub(crate) session: Arc<VaultSession>,
    pub(crate) trust_domain: TrustDomain,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Keeper {
    /// Goes on for ever.
    pub(crate) async fn run(self, mut listener: Listener) {
        loop {
            match self.obtain().await {
                Ok(intermediate) => {
                    let half_life = intermediate.certificate.validity();
                    let renewed_in =
                        half_life.remaining(self.clock.now()).mul_f64(0.45 + fastrand::f64() / 10.0);
                    let due = self.clock.now() + renewed_in;
                    let roots = intermediate.roots.clone();
                    listener.offer(offer(intermediate)).await;
                    while self.clock.now() < due && !self.signs_under_others(&roots).await {
                        let left = due.duration_since(self.clock.now()).unwrap_or_default();
                        sleep(left.clamp(Duration::from_secs(1), LOOK_EVERY)).await;
                    }
                }
                Err(error) => {
                    let fault = SourceFault(chain(&error).to_string());
                    listener.fail(fault).await;
                }
            }
        }
    }

    /// A new intermediate with a new key.
    pub(crate) async fn obtain(&self) -> Result<VaultIntermediate, IntermediateError> {
        VaultIntermediate::obtain(&self.session, &self.trust_domain, self.clock.now(), patience()).await
    }

    /// Whether Vault's issuer leads to other roots by now. A Vault that is away says nothing: leaves are signed here.
    async fn signs_under_others(&self, roots: &[rustls_pki_types::CertificateDer<'static>]) -> bool {
        let issuer = IssuerChain::read(self.session.client(), patience()).await;
        issuer.is_ok_and(|issuer| issuer.roots != roots)
    }
}

/// The intermediate as an authority.
pub(crate) fn offer(intermediate: VaultIntermediate) -> Offer {
    Offer {
        origin: Origin::VaultIntermediate,
        certificate: intermediate.certificate,
        intermediates: intermediate.intermediates,
        roots: intermediate.roots,
        signer: OfferedSigner::Key(intermediate.key, None),
        ends_the_last: false,
    }
}
