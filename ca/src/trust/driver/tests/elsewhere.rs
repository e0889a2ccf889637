//! Somebody else signs, and chooses by what.

use async_trait::async_trait;
use rustls_pki_types::CertificateDer;
use signet_backends::{Issuer, IssuerError};

use super::*;
use crate::authority::Foreign;

/// Elsewhere, somebody signs by this.
struct Elsewhere(TestAuthority);

#[async_trait]
impl Issuer for Elsewhere {
    async fn issue(
        &self,
        approved: &Approved,
        now: SystemTime,
        _deadline: Instant,
    ) -> Result<Vec<CertificateDer<'static>>, IssuerError> {
        Ok(self.0.issue(approved, now))
    }
}

#[tokio::test]
async fn an_issuer_that_its_source_no_longer_has_stops_at_once_and_one_of_another_source_goes_on() {
    for (origin, goes_on) in [(Origin::Vault, false), (Origin::Injected, true)] {
        let scene = Scene::new();
        let (old, new) = (scene.root(), scene.root());
        let mut driver = scene.start().await;
        driver.take(Offer { origin, ..offer(&old) }).await.unwrap();

        let ends_the_last = Offer { origin: Origin::Vault, ends_the_last: true, ..offer(&new) };
        driver.take(ends_the_last).await.unwrap();
        assert_eq!(scene.issued(&driver).await.is_ok(), goes_on, "{origin:?}");

        scene.clock().advance(3 * MINUTE);
        driver.step().unwrap();
        assert_eq!(signs(&driver) == Some(new.certificate().key_id()), !goes_on, "{origin:?}");
    }
}

#[tokio::test]
async fn nothing_is_handed_out_under_a_root_that_an_offer_has_beside_its_own() {
    for (by_its_own, outcome) in [(true, true), (false, false)] {
        let scene = Scene::new();
        let [own, beside] = [(); 2].map(|()| scene.root());
        let roots = [own.bundle().authorities(), beside.bundle().authorities()].concat();
        let certificate = own.certificate().clone();
        let signs: Arc<dyn Issuer> = Arc::new(Elsewhere(if by_its_own { own } else { beside }));
        let foreign = Foreign { workloads: Arc::clone(&signs), serving: Some(signs), doubts: None };
        let signer = OfferedSigner::Foreign(foreign);
        let mut driver = scene.start().await;
        driver.take(Offer { certificate, roots, signer, ..offer(&scene.root()) }).await.unwrap();

        assert_eq!(scene.issued(&driver).await.is_ok(), outcome);
    }
}
