//! Vault signs an intermediate of ours: the source has it renewed at half of the life of its path, and when Vault signs
//! by another issuer.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

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
                    let issuer = intermediate.issuer.clone();
                    let offer = offer(intermediate);
                    let due = renewed_at(offer.known().end(), self.clock.now(), fastrand::f64());
                    listener.offer(offer).await;
                    while self.clock.now() < due && !self.signs_by_another(&issuer).await {
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

    /// Whether Vault signs by another certificate by now, or under other roots: the same issuer may have been renewed. A
    /// Vault that is away says nothing: leaves are signed here.
    async fn signs_by_another(&self, known: &IssuerChain) -> bool {
        let issuer = IssuerChain::read(self.session.client(), patience()).await;
        issuer.is_ok_and(|issuer| issuer != *known)
    }
}

/// At half of what is left, give or take, of the whole path: Vault signs an intermediate past the end of its issuer. Never
/// at once, however little is left. `jitter` is in [0, 1).
fn renewed_at(end: SystemTime, now: SystemTime, jitter: f64) -> SystemTime {
    let left = end.duration_since(now).unwrap_or_default();
    now + left.mul_f64(0.45 + jitter / 10.0).max(LOOK_EVERY)
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

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn it_is_renewed_at_half_of_what_is_left_and_never_at_once() {
        let (now, hour) = (UNIX_EPOCH + Duration::from_secs(1_800_000_000), Duration::from_secs(3600));
        for (left, jitter, after) in [
            (100 * hour, 0.0, 45 * hour),
            (100 * hour, 0.5, 50 * hour),
            (Duration::from_secs(10), 0.5, LOOK_EVERY),
            (Duration::ZERO, 0.5, LOOK_EVERY),
        ] {
            assert_eq!(renewed_at(now + left, now, jitter), now + after, "{left:?} {jitter}");
        }
        assert_eq!(renewed_at(now - hour, now, 0.5), now + LOOK_EVERY, "it is over");
    }
}
