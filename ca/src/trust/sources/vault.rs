//! Vault signs each leaf: the source watches which issuer does.

use std::sync::Arc;

use signet_backends::{
    Issuer,
    vault::{IssuerChain, IssuerPath, VaultError, VaultLeafIssuer, VaultSession},
};
use signet_runtime::telemetry::chain;
use tokio::time::sleep;

use super::{LOOK_EVERY, Listener, patience};
use crate::{
    authority::Foreign,
    trust::{Offer, OfferedSigner, Origin, SourceFault},
};

/// Offers the issuer that Vault signs by, now and whenever it is another.
pub(crate) async fn run(session: Arc<VaultSession>, mut listener: Listener) {
    let mut offered = None;
    loop {
        match look(&session).await {
            Ok(issuer) if offered.as_ref() == Some(&issuer) => sleep(LOOK_EVERY).await,
            Ok(issuer) => {
                listener.offer(offer(&session, &issuer)).await;
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

/// The issuer as an authority. When a role's issuer is Vault's choice, the last one is gone with it.
pub(crate) fn offer(session: &Arc<VaultSession>, issuer: &IssuerChain) -> Offer {
    let path = issuer.path(&session.client().config().pki);
    let ends_the_last = path == IssuerPath::OfTheRole;
    let workloads = VaultLeafIssuer::workloads(Arc::clone(session), path.clone());
    let serving = VaultLeafIssuer::serving(Arc::clone(session), path);
    Offer {
        origin: Origin::Vault,
        certificate: issuer.certificate.clone(),
        intermediates: issuer.intermediates.clone(),
        roots: issuer.roots.clone(),
        signer: OfferedSigner::Foreign(Foreign {
            workloads: Arc::new(workloads),
            serving: serving.map(|serving| Arc::new(serving) as Arc<dyn Issuer>),
        }),
        ends_the_last,
    }
}
