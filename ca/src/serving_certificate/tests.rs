//! Renewal, by a clock that is advanced.

use std::{sync::Mutex, time::SystemTime};

use async_trait::async_trait;
use signet_backends::{Assembler, LocalSigner, SignError, Signer};
use signet_identity::{CaCertificate, SignatureAlgorithm, SigningKey, TrustBundle, TrustDomain};
use signet_runtime::testing::TokioClock;
use tokio_util::task::TaskTracker;

use super::*;
use crate::{
    audit::testing::LogOnDisk,
    authority::{Active, Standing},
    testing,
};

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);

/// Signs with a local key, notes when, and is away for the attempts that the script says.
struct ScriptedSigner {
    key: LocalSigner,
    clock: Arc<dyn Clock>,
    asked_at: Mutex<Vec<SystemTime>>,
    /// Numbers of the signatures it does not make; 0 is the throw-away one.
    away: std::ops::Range<usize>,
}

#[async_trait]
impl Signer for ScriptedSigner {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }

    async fn sign(&self, to_be_signed: &[u8]) -> Result<Vec<u8>, SignError> {
        let number = {
            let mut asked_at = self.asked_at.lock().unwrap();
            asked_at.push(self.clock.now());
            asked_at.len() - 1
        };
        if self.away.contains(&number) {
            return Err(SignError::Unavailable { reason: "cable cut".to_owned() });
        }
        self.key.sign(to_be_signed).await
    }
}

/// A CA that has its first serving certificate.
struct Scene {
    log: LogOnDisk,
    clock: Arc<dyn Clock>,
    signer: Arc<ScriptedSigner>,
    renewer: ServingCertificateRenewer,
}

impl Scene {
    async fn new(lifetime: Duration, root_lifetime: Duration, away: std::ops::Range<usize>) -> Self {
        let (log, clock) = (LogOnDisk::new(), Arc::new(TokioClock::starting_at(start())) as Arc<dyn Clock>);
        let (signer, issuer, bundle) = root(&clock, root_lifetime, away);
        let audit = log.open_by(Arc::clone(&clock));
        let authority = testing::authority(issuer, bundle, audit, Arc::clone(&clock)).await.unwrap();
        let names = ServingNames { dns_names: vec!["ca.signet.svc".to_owned()], lifetime };
        let renewer = ServingCertificateRenewer::start(authority, names, Arc::clone(&clock)).await.unwrap();
        Self { log, clock, signer, renewer }
    }
}

/// A new root that signs.
fn root(
    clock: &Arc<dyn Clock>,
    lifetime: Duration,
    away: std::ops::Range<usize>,
) -> (Arc<ScriptedSigner>, Assembler, TrustBundle) {
    let trust_domain: TrustDomain = "cluster.local".parse().unwrap();
    let key = PrivateKey::generate().unwrap();
    let root = CaCertificate::self_signed(&key, &trust_domain, start(), lifetime).unwrap();
    let bundle = TrustBundle::new(trust_domain, vec![root.der().clone()], None).unwrap();
    let (key, asked_at) = (LocalSigner::new(SigningKey::from(key)), Mutex::default());
    let signer = Arc::new(ScriptedSigner { key, clock: Arc::clone(clock), asked_at, away });
    (Arc::clone(&signer), Assembler::new(signer, root, Vec::new()), bundle)
}

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

#[tokio::test(start_paused = true)]
async fn the_first_certificate_is_the_authoritys_own_and_audited() {
    let scene = Scene::new(DAY, 100 * DAY, 0..0).await;

    assert_eq!(scene.log.events(), ["started", "signing", "issued"]);
    let intent = &scene.log.lines()[1];
    assert_eq!(intent["identity"], "spiffe://cluster.local/signet/ca");
    assert_eq!(intent["dns_names"][0], "ca.signet.svc");
    assert!(intent.get("caller").is_none());
}

#[tokio::test(start_paused = true)]
async fn it_is_renewed_at_half_of_its_life_again_and_again() {
    let Scene { log: _log, clock, signer, renewer } = Scene::new(DAY, 100 * DAY, 0..0).await;
    let (mut validity, certificate) = (renewer.validity(), renewer.certificate());
    let renewing = TaskTracker::new();
    let stop = CancellationToken::new();
    renewing.spawn(renewer.run(stop.clone()));

    for renewal in 1..=3 {
        let (old, shown) = (*validity.borrow_and_update(), format!("{certificate:?}"));
        validity.changed().await.unwrap();
        assert_ne!(format!("{certificate:?}"), shown, "renewal {renewal} is shown");
        let late = clock.now().duration_since(old.not_before() + old.lifetime() / 2).unwrap();
        assert!(late < Duration::from_secs(1), "renewal {renewal} came {late:?} late");
    }

    stop.cancel();
    renewing.close();
    renewing.wait().await;
    assert_eq!(signer.asked_at.lock().unwrap().len(), 2 + 3);
}

#[tokio::test(start_paused = true)]
async fn it_is_renewed_once_when_another_authority_begins_to_sign() {
    let Scene { log: _log, clock, signer: _old, renewer } = Scene::new(DAY, 100 * DAY, 0..0).await;
    let (mut validity, authority) = (renewer.validity(), renewer.authority.clone());
    let (signer, assembler, bundle) = root(&clock, 100 * DAY, 0..0);
    let active = Active::here(assembler, bundle.clone(), clock.now()).await.unwrap();
    let renewing = TaskTracker::new();
    renewing.spawn(renewer.run(CancellationToken::new()));

    authority.publish(Standing::new(Some(active), bundle));

    validity.changed().await.unwrap();
    assert!(clock.now() < start() + MINUTE, "half of its life is far");
    sleep(MINUTE).await;
    assert_eq!(signer.asked_at.lock().unwrap().len(), 2, "the throw-away one, and ours");
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_is_tried_again_after_longer_and_longer_and_the_old_one_serves() {
    let scene = Scene::new(DAY, 100 * DAY, 2..8).await;
    let mut validity = scene.renewer.validity();
    let first = *validity.borrow_and_update();
    let renewing = TaskTracker::new();
    let (log, signer) = (scene.log, scene.signer);
    renewing.spawn(scene.renewer.run(CancellationToken::new()));

    validity.changed().await.unwrap();

    let asked_at = signer.asked_at.lock().unwrap().clone();
    let pauses: Vec<u64> =
        asked_at[2..].windows(2).map(|pair| pair[1].duration_since(pair[0]).unwrap().as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
    assert!(validity.borrow().not_after() > first.not_after());
    assert_eq!(log.events().iter().filter(|event| *event == "failed").count(), 6);
}

#[tokio::test(start_paused = true)]
async fn it_never_outlives_the_authority() {
    let scene = Scene::new(100 * DAY, DAY, 0..0).await;

    assert_eq!(scene.renewer.validity().borrow().not_after(), start() + DAY);
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_with_the_authority_is_not_renewed_again_and_again() {
    let (lifetime, authority_ends) = (10 * MINUTE, start() + 60 * MINUTE);
    let Scene { log: _log, clock, signer, renewer } = Scene::new(lifetime, 60 * MINUTE, 0..0).await;
    let mut validity = renewer.validity();
    let renewing = TaskTracker::new();
    renewing.spawn(renewer.run(CancellationToken::new()));

    // Without a timer of the test's own: paused time would pass by it while the audit thread writes.
    validity.wait_for(|validity| validity.not_after() == authority_ends).await.unwrap();
    let asked_at = signer.asked_at.lock().unwrap().clone();
    assert!(asked_at.len() > 2 + 5, "it was renewed before: {}", asked_at.len());
    assert!(asked_at.iter().all(|time| *time < authority_ends - 2 * MINUTE), "{asked_at:?}");

    sleep((authority_ends + MINUTE).duration_since(clock.now()).unwrap()).await;

    assert_eq!(signer.asked_at.lock().unwrap().len(), asked_at.len(), "renewed though it is the last");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_none_is_refused_at_start() {
    let scene = Scene::new(DAY, 100 * DAY, 0..0).await;
    let authority = scene.renewer.authority.clone();
    let names = ServingNames { dns_names: vec!["zürich".to_owned()], lifetime: DAY };

    let refused = ServingCertificateRenewer::start(authority, names, scene.clock).await.err();

    assert!(matches!(refused, Some(ServingCertificateError::Request(_))), "{refused:?}");
}

/// That authority signs, by a root of this lifetime.
async fn standing(key: &PrivateKey, lifetime: Duration, clock: &Arc<dyn Clock>) -> Standing {
    let trust_domain: TrustDomain = "cluster.local".parse().unwrap();
    let root = CaCertificate::self_signed(key, &trust_domain, start(), lifetime).unwrap();
    let bundle = TrustBundle::new(trust_domain, vec![root.der().clone()], None).unwrap();
    let signer = LocalSigner::new(SigningKey::from_pem(&key.to_pkcs8_pem()).unwrap());
    let assembler = Assembler::new(Arc::new(signer), root, Vec::new());
    Standing::new(Some(Active::here(assembler, bundle.clone(), clock.now()).await.unwrap()), bundle)
}

#[tokio::test(start_paused = true)]
async fn it_is_renewed_when_the_same_key_comes_back_under_another_root() {
    let Scene { log: _log, clock, signer: _signer, renewer } = Scene::new(DAY, 100 * DAY, 0..0).await;
    let (key, authority, names) = (PrivateKey::generate().unwrap(), renewer.authority, renewer.names);
    authority.publish(standing(&key, 100 * DAY, &clock).await);
    let old = authority.certificate().unwrap();
    let renewer =
        ServingCertificateRenewer::start(authority.clone(), names, Arc::clone(&clock)).await.unwrap();
    let mut validity = renewer.validity();
    let renewing = TaskTracker::new();
    renewing.spawn(renewer.run(CancellationToken::new()));

    authority.publish(standing(&key, 99 * DAY, &clock).await);

    assert_eq!(authority.certificate().unwrap().key_id(), old.key_id());
    validity.changed().await.unwrap();
    assert!(clock.now() < start() + MINUTE, "half of its life is far");
}

#[tokio::test(start_paused = true)]
async fn a_start_has_its_certificate_as_soon_as_somebody_signs() {
    let Scene { log: _log, clock, signer: _signer, renewer } = Scene::new(DAY, 100 * DAY, 0..0).await;
    let (authority, names) = (renewer.authority, renewer.names);
    let signs = standing(&PrivateKey::generate().unwrap(), 100 * DAY, &clock).await;
    authority.publish(Standing::new(None, TrustBundle::clone(&signs.bundle)));
    let starting = ServingCertificateRenewer::start_at_last(authority.clone(), names, Arc::clone(&clock));
    let mut starting = Box::pin(starting);
    assert!(timeout(MINUTE, &mut starting).await.is_err(), "nobody signs");
    let now = clock.now();

    authority.publish(signs);

    starting.await.unwrap();
    assert!(clock.now() < now + Duration::from_secs(1), "it waited for its timer");
}

#[tokio::test(start_paused = true)]
async fn a_start_waits_for_a_signer_that_is_away_and_not_for_what_no_waiting_helps() {
    let scene = Scene::new(DAY, 100 * DAY, 2..5).await;
    let start = |name: &str| {
        let names = ServingNames { dns_names: vec![name.to_owned()], lifetime: DAY };
        let authority = scene.renewer.authority.clone();
        ServingCertificateRenewer::start_at_last(authority, names, Arc::clone(&scene.clock))
    };
    start("ca.signet.svc").await.unwrap();
    assert_eq!(scene.log.events().iter().filter(|event| *event == "failed").count(), 3);

    assert!(matches!(start("zürich").await.err(), Some(ServingCertificateError::Request(_))));
}
