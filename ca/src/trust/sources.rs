//! Where authorities come from. Each source is a task that offers one when it has one, says why when it has none, and
//! goes on looking.

pub(crate) mod injected;
pub(crate) mod intermediate;
pub(crate) mod vault;

use std::time::Duration;

use tokio::{
    sync::mpsc::Sender,
    time::{Instant, sleep},
};

use super::{Said, SourceFault};

/// Whoever listens to a source: it is told what is new, and each trouble once.
pub(crate) struct Listener {
    offers: Sender<Said>,
    last_fault: Option<SourceFault>,
    failures: u32,
}

impl Listener {
    /// The driver's end.
    pub(crate) fn new(offers: Sender<Said>) -> Self {
        Self { offers, last_fault: None, failures: 0 }
    }

    async fn offer(&mut self, offer: super::Offer) {
        (self.last_fault, self.failures) = (None, 0);
        let _nobody_listens_at_the_end = self.offers.send(Ok(offer)).await;
    }

    /// Tells why there is nothing, unless that is known.
    async fn tell(&mut self, fault: SourceFault) {
        if self.last_fault.as_ref() != Some(&fault) {
            self.last_fault = Some(fault.clone());
            let _nobody_listens_at_the_end = self.offers.send(Err(fault)).await;
        }
    }

    /// The same; then waits: longer each time, up to ten seconds.
    async fn fail(&mut self, fault: SourceFault) {
        self.tell(fault).await;
        let wait = (FIRST_WAIT * 2_u32.pow(self.failures.min(MOST_DOUBLINGS))).min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
    }
}

/// What an attempt at another authority may take.
fn patience() -> Instant {
    Instant::now() + Duration::from_secs(15)
}

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const MOST_DOUBLINGS: u32 = 8;

/// How often Vault is asked who signs, and under which roots. Without a token, and without a signature.
const LOOK_EVERY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use signet_identity::{SigningKey, testing::TestAuthority};
    use tokio::sync::mpsc;

    use super::*;
    use crate::trust::{Offer, OfferedSigner, Origin};

    fn offer() -> Offer {
        let now = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let root = TestAuthority::new("cluster.local", now);
        let key = SigningKey::from_pem(&root.key().to_pkcs8_pem()).unwrap();
        Offer {
            origin: Origin::Injected,
            certificate: root.certificate().clone(),
            intermediates: Vec::new(),
            roots: root.bundle().authorities().to_vec(),
            signer: OfferedSigner::Key(Arc::new(key), None),
            ends_the_last: false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_trouble_is_told_once_until_there_was_an_offer() {
        let (offers, mut told) = mpsc::channel(10);
        let mut listener = Listener::new(offers);
        let fault = |text: &str| SourceFault(text.to_owned());

        for text in ["away", "away", "sealed", "sealed", "away"] {
            listener.tell(fault(text)).await;
        }
        listener.offer(offer()).await;
        listener.tell(fault("away")).await;

        drop(listener);
        let mut all = Vec::new();
        while let Some(said) = told.recv().await {
            all.push(said.map_or_else(|SourceFault(text)| text, |_| "an offer".to_owned()));
        }
        assert_eq!(all, ["away", "sealed", "away", "an offer", "away"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_goes_on_failing_is_asked_less_and_less_often_until_it_offers() {
        let (offers, _told) = mpsc::channel(10);
        let mut listener = Listener::new(offers);
        for round in ["at first", "after an offer"] {
            for longest in [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000] {
                let began = Instant::now();
                listener.fail(SourceFault("away".to_owned())).await;
                let waited = began.elapsed().as_millis();
                assert!((longest / 2..=longest + 1).contains(&waited), "{round}: {waited} of {longest} ms");
            }
            listener.offer(offer()).await;
        }
    }
}
