//! Vault signs each leaf: the source watches which issuer does.
//!
//! Where that is Vault's choice, the first leaf that leads to none of the known roots tells of another one sooner than
//! the next look would.

use std::{sync::Arc, time::Duration};

use signet_backends::{
    Issuer,
    vault::{IssuerChain, IssuerPath, VaultError, VaultLeafIssuer, VaultSession},
};
use signet_runtime::telemetry::chain;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{LOOK_EVERY, Listener, patience};
use crate::{
    authority::Foreign,
    trust::{Offer, OfferedSigner, Origin, SourceFault},
};

/// Offers the issuer that Vault signs by, now and whenever it is another.
pub(crate) async fn run(session: Arc<VaultSession>, mut listener: Listener) {
    let (mut offered, doubts) = (None, Arc::default());
    loop {
        match look(&session).await {
            Ok(issuer) if offered.as_ref() == Some(&issuer) => until_next_look(&doubts).await,
            Ok(issuer) => {
                listener.offer(offer(&session, &issuer, &doubts)).await;
                offered = Some(issuer);
            }
            Err(error) => {
                // So that it is offered again when it is back, and the trouble taken off the page.
                offered = None;
                let fault = SourceFault(chain(&error).to_string());
                listener.fail(fault).await;
            }
        }
    }
}

/// The issuer, if we could have it sign.
pub(crate) async fn look(session: &VaultSession) -> Result<IssuerChain, VaultError> {
    session.log_in(patience()).await?;
    IssuerChain::read(session.client(), patience()).await
}

/// Not at once, whatever happens: who asks for certificates must not decide how often Vault is asked.
async fn until_next_look(doubts: &Notify) {
    sleep(NEVER_SOONER).await;
    let _in_doubt_or_in_time = timeout(LOOK_EVERY - NEVER_SOONER, doubts.notified()).await;
}

/// The issuer as an authority. When a role's issuer is Vault's choice, the last one is gone with it, and `doubts` is
/// told when that shows.
pub(crate) fn offer(session: &Arc<VaultSession>, issuer: &IssuerChain, doubts: &Arc<Notify>) -> Offer {
    let path = issuer.path(&session.client().config().pki);
    let ends_the_last = path == IssuerPath::OfTheRole;
    let workloads = VaultLeafIssuer::workloads(Arc::clone(session), issuer);
    let serving = VaultLeafIssuer::serving(Arc::clone(session), issuer);
    Offer {
        origin: Origin::Vault,
        certificate: issuer.certificate.clone(),
        intermediates: issuer.intermediates.clone(),
        roots: issuer.roots.clone(),
        signer: OfferedSigner::Foreign(Foreign {
            workloads: Arc::new(workloads),
            serving: serving.map(|serving| Arc::new(serving) as Arc<dyn Issuer>),
            doubts: ends_the_last.then(|| Arc::clone(doubts)),
        }),
        ends_the_last,
    }
}

const NEVER_SOONER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_doubt_is_looked_into_at_once_but_never_within_a_second_of_the_last_look() {
        for (name, doubted_after, looks_after) in [
            ("no doubt", None, 30_000),
            ("a doubt", Some(10_000), 10_000),
            ("a doubt right after the last look", Some(200), 1000),
            ("a doubt that came while it was looked", Some(0), 1000),
        ] {
            let (doubts, began) = (Notify::new(), Instant::now());
            let doubting = async {
                if let Some(wait) = doubted_after {
                    sleep(Duration::from_millis(wait)).await;
                    doubts.notify_one();
                }
            };
            tokio::join!(until_next_look(&doubts), doubting);
            assert_eq!(began.elapsed().as_millis(), looks_after, "{name}");
        }
    }
}
