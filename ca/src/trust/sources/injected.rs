//! An operator's files sign: the source offers each set of them that can.

use std::sync::Arc;

use signet_backends::injected::{InjectedSet, Watch};
use signet_runtime::telemetry::chain;

use super::Listener;
use crate::trust::{Offer, OfferedSigner, Origin, SourceFault};

/// Offers what is there, now and whenever it has changed.
pub(crate) async fn run(mut watch: Watch, mut listener: Listener) {
    loop {
        match watch.next().await {
            Ok(set) => {
                set.remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
                listener.offer(offer(set)).await;
            }
            Err(faults) => {
                let fault = SourceFault(chain(&faults).to_string());
                listener.tell(fault).await;
            }
        }
    }
}

/// The set as an authority.
pub(crate) fn offer(set: InjectedSet) -> Offer {
    Offer {
        origin: Origin::Injected,
        certificate: set.certificate,
        intermediates: set.intermediates,
        roots: set.roots,
        signer: OfferedSigner::Key(Arc::new(set.key), None),
        ends_the_last: false,
    }
}
