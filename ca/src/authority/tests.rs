//! Issuing with a real key, a real log, and a signer that can be held up, broken or replaced.

use std::{
    collections::{BTreeMap, HashSet},
    process::Command,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use signet_backends::{Assembler, IssuerError, LocalSigner, SignError, Signer};
use signet_identity::{Expected, ManualClock, PrivateKey, SignatureAlgorithm, SigningKey, TrustDomain};
use tokio::sync::Semaphore;

use super::*;
use crate::{audit::testing::LogOnDisk, testing};

/// A local signer whose each signature needs a permit, and which can be unreachable.
struct ControlledSigner {
    key: LocalSigner,
    permits: Semaphore,
    asked: AtomicUsize,
    behaviour: Behaviour,
}

#[derive(PartialEq)]
enum Behaviour {
    Signs,
    /// Makes the throw-away signature, then is away.
    GoesAway,
    /// Makes the throw-away signature, then panics.
    Panics,
}

#[async_trait]
impl Signer for ControlledSigner {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }

    async fn sign(&self, to_be_signed: &[u8]) -> Result<Vec<u8>, SignError> {
        let earlier = self.asked.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        if self.behaviour == Behaviour::GoesAway && earlier > 0 {
            return Err(SignError::Unavailable { reason: "cable cut".to_owned() });
        }
        assert!(self.behaviour != Behaviour::Panics || earlier == 0, "a defect");
        self.key.sign(to_be_signed).await
    }
}

/// An authority with ten years to live, and everything around it.
struct Scene {
    log: LogOnDisk,
    signer: Arc<ControlledSigner>,
    authority: Authority,
}

const HOUR: Duration = Duration::from_secs(3600);
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);

fn trust_domain() -> TrustDomain {
    "cluster.local".parse().unwrap()
}

fn root(key: &PrivateKey, clock: &ManualClock) -> CaCertificate {
    CaCertificate::self_signed(key, &trust_domain(), clock.now(), TEN_YEARS).unwrap()
}

fn bundle(roots: &[&CaCertificate]) -> TrustBundle {
    TrustBundle::new(trust_domain(), roots.iter().map(|root| root.der().clone()).collect(), None).unwrap()
}

impl Scene {
    /// `permits` signatures are made at once, beside the throw-away one; the next waits for another permit.
    async fn with_permits(permits: usize) -> Self {
        Self::with_signer(permits, Behaviour::Signs).await
    }

    async fn new() -> Self {
        Self::with_permits(1000).await
    }

    async fn with_signer(permits: usize, behaviour: Behaviour) -> Self {
        let (log, key) = (LogOnDisk::new(), PrivateKey::generate().unwrap());
        let root = root(&key, &log.clock);
        let signer = Arc::new(ControlledSigner {
            key: LocalSigner::new(SigningKey::from(key)),
            permits: Semaphore::new(1 + permits),
            asked: AtomicUsize::new(0),
            behaviour,
        });
        let issuer = Assembler::new(Arc::clone(&signer) as _, root.clone(), Vec::new());
        let clock = Arc::clone(&log.clock) as _;
        let authority = testing::authority(issuer, bundle(&[&root]), log.open(), clock).await.unwrap();
        Self { log, signer, authority }
    }

    async fn issue(&self) -> Result<Issuance, IssueError> {
        self.authority.issue(request(HOUR)).await
    }

    /// Until the signer has been asked `times` times, the throw-away signature included.
    async fn signer_was_asked(&self, times: usize) {
        while self.signer.asked.load(Ordering::SeqCst) < times {
            tokio::task::yield_now().await;
        }
    }
}

fn request(lifetime: Duration) -> IssueRequest {
    let key = PrivateKey::generate().unwrap();
    let approved = Approved::for_the_authority(&trust_domain(), Vec::new(), &key, lifetime).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    IssueRequest {
        request_id: RequestId::random(),
        requester: Requester::Authority,
        approved,
        deadline,
        place: None,
    }
}

#[tokio::test]
async fn what_is_issued_verifies_in_full_and_is_in_the_audit() {
    let scene = Scene::new().await;
    let request = request(HOUR);
    let (id, key) = (request.request_id.clone(), request.approved.public_key().clone());

    let Issuance { svid, bundle, bundle_pem } = scene.authority.issue(request).await.unwrap();

    let expected = Expected { identity: svid.identity(), public_key: &key };
    X509Svid::verify(svid.chain().to_vec(), expected, &bundle, scene.log.clock.now()).unwrap();
    assert_eq!(*bundle_pem, bundle.to_pem());
    assert_eq!(scene.log.events(), ["started", "signing", "issued"]);
    let lines = scene.log.lines();
    assert_eq!(
        (&lines[1]["request_id"], &lines[2]["request_id"]),
        (&id.as_str().into(), &id.as_str().into())
    );
    assert_eq!(lines[2]["serial"], svid.serial());
    assert_eq!(lines[1]["authority"], scene.authority.certificate().unwrap().key_id());
}

#[tokio::test]
async fn a_lifetime_beyond_all_bounds_ends_with_the_authority() {
    let scene = Scene::new().await;

    let issuance = scene.authority.issue(request(Duration::MAX)).await.unwrap();

    assert_eq!(
        issuance.svid.validity().not_after(),
        scene.authority.certificate().unwrap().validity().not_after()
    );
}

#[tokio::test]
async fn openssl_accepts_leaf_and_chain() {
    let scene = Scene::new().await;
    let issuance = scene.issue().await.unwrap();
    let directory = scene.log.directory.path();
    std::fs::write(directory.join("root.pem"), issuance.bundle.to_pem()).unwrap();
    std::fs::write(directory.join("leaf.pem"), issuance.svid.to_pem_elements().concat()).unwrap();

    let verified = Command::new("openssl")
        .args(["verify", "-x509_strict", "-attime", "1800000000", "-CAfile", "root.pem", "leaf.pem"])
        .current_dir(directory)
        .output()
        .unwrap();

    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test]
async fn an_issuance_whose_caller_has_gone_is_audited_to_its_end() {
    let scene = Scene::with_permits(0).await;
    let mut issuing = Box::pin(scene.issue());
    tokio::select! {
        biased;
        _ = &mut issuing => unreachable!("issued without a signature"),
        () = scene.signer_was_asked(2) => {}
    }
    drop(issuing);
    assert_eq!(scene.log.events(), ["started", "signing"]);

    scene.signer.permits.add_permits(1);

    assert_eq!(scene.authority.drain(HOUR).await, 0);
    assert_eq!(scene.log.events(), ["started", "signing", "issued"]);
}

#[tokio::test(start_paused = true)]
async fn draining_is_bounded_and_says_what_is_left() {
    let scene = Scene::with_permits(0).await;
    let mut issuing = Box::pin(scene.issue());
    tokio::select! {
        biased;
        _ = &mut issuing => unreachable!("issued without a signature"),
        () = scene.signer_was_asked(2) => {}
    }

    assert_eq!(scene.authority.drain(Duration::from_secs(10)).await, 1);
}

#[tokio::test]
async fn a_panic_is_a_fault_of_ours_and_is_audited_to_its_end() {
    let scene = Scene::with_signer(1000, Behaviour::Panics).await;

    let error = scene.issue().await.unwrap_err();

    assert!(matches!(error, IssueError::Panicked), "{error}");
    assert_eq!(scene.log.events(), ["started", "signing", "failed"]);
    assert!(scene.log.lines()[2]["reason"].as_str().unwrap().contains("panicked"));
}

#[tokio::test]
async fn an_authority_that_was_drained_issues_nothing() {
    let scene = Scene::new().await;
    assert_eq!(scene.authority.drain(HOUR).await, 0);

    let error = scene.issue().await.unwrap_err();

    assert!(matches!(error, IssueError::Interrupted), "{error}");
    assert_eq!(scene.log.events(), ["started"]);
}

#[tokio::test]
async fn a_signer_that_cannot_be_reached_is_audited_and_is_its_own_fault() {
    let scene = Scene::with_signer(1000, Behaviour::GoesAway).await;

    let error = scene.issue().await.unwrap_err();

    assert!(matches!(error, IssueError::Issuer(IssuerError::Unavailable(_))), "{error}");
    assert_eq!(scene.log.events(), ["started", "signing", "failed"]);
    let reason = scene.log.lines()[2]["reason"].clone();
    assert_eq!(reason, "no signature could be had: the signing key cannot be reached: cable cut");
    let since = signet_identity::Clock::now(&*scene.log.clock);
    scene.log.clock.advance(HOUR);
    scene.issue().await.unwrap_err();
    let failing = scene.authority.failing().unwrap();
    assert_eq!((failing.since, &*failing.reason), (since, reason.as_str().unwrap()));
}

#[tokio::test]
async fn an_authority_that_has_expired_signs_nothing_and_says_so() {
    let scene = Scene::new().await;
    scene.log.clock.advance(TEN_YEARS + HOUR);

    let error = scene.issue().await.unwrap_err();

    assert!(matches!(error, IssueError::Issuer(IssuerError::AuthorityNotValid { .. })), "{error}");
    assert_eq!(scene.signer.asked.load(Ordering::SeqCst), 1, "the key was used");
    assert_eq!(scene.log.events(), ["started", "signing", "failed"]);
}

#[tokio::test]
async fn with_a_full_disk_the_key_is_not_used() {
    let scene = Scene::new().await;
    scene.log.fill_disk();

    let error = scene.issue().await.unwrap_err();

    assert!(matches!(error, IssueError::Audit(AuditUnavailable::Write { .. })), "{error}");
    assert_eq!(scene.signer.asked.load(Ordering::SeqCst), 1, "the key was used");
    scene.log.free_disk();
    scene.issue().await.unwrap();
    assert_eq!(scene.log.events(), ["started", "resumed", "signing", "issued"]);
}

#[tokio::test]
async fn a_certificate_whose_outcome_cannot_be_written_does_not_leave_and_the_outcome_is_not_lost() {
    let mut scene = Scene::with_permits(0).await;
    let counted = Arc::new(AtomicU64::new(0));
    scene.authority.outcomes.issued = metrics::Counter::from_arc(Arc::clone(&counted));
    let mut issuing = Box::pin(scene.issue());
    tokio::select! {
        biased;
        _ = &mut issuing => unreachable!("issued without a signature"),
        () = scene.signer_was_asked(2) => {}
    }
    scene.log.fill_disk();
    scene.signer.permits.add_permits(1000);

    let error = issuing.await.unwrap_err();

    assert!(matches!(error, IssueError::Audit(_)), "{error}");
    assert_eq!(counted.load(Ordering::SeqCst), 0, "counted as issued, though it did not leave");
    scene.log.free_disk();
    scene.issue().await.unwrap();
    assert_eq!(scene.log.events(), ["started", "signing", "issued", "resumed", "signing", "issued"]);
}

#[tokio::test]
async fn a_hundred_at_once_have_a_serial_and_an_outcome_each() {
    let scene = Scene::new().await;
    let issuing = (0..100)
        .map(|_| scene.authority.clone())
        .map(|authority| async move { authority.issue(request(HOUR)).await.unwrap().svid.serial() });
    let serials: HashSet<_> =
        issuing.collect::<tokio::task::JoinSet<_>>().join_all().await.into_iter().collect();

    assert_eq!(serials.len(), 100);
    let mut records = BTreeMap::<String, Vec<String>>::new();
    for line in scene.log.lines().into_iter().skip(1) {
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        records.entry(text("request_id")).or_default().push(text("event"));
    }
    assert_eq!(records.len(), 100);
    assert!(records.values().all(|events| events == &["signing", "issued"]), "{records:?}");
}

#[tokio::test]
async fn an_authority_whose_leaves_nobody_would_accept_does_not_start() {
    let log = LogOnDisk::new();
    let key = || PrivateKey::generate().unwrap();
    let (mine, other) = (key(), key());
    let (my_root, other_root) = (root(&mine, &log.clock), root(&other, &log.clock));
    let mine = Arc::new(LocalSigner::new(SigningKey::from(mine)));
    for (case, signer, certificate, bundle) in [
        ("a key that is not the certificate's", mine.clone(), &other_root, bundle(&[&other_root])),
        ("a root that is not in the bundle", mine.clone(), &my_root, bundle(&[&other_root])),
    ] {
        let issuer = Assembler::new(signer, certificate.clone(), Vec::new());
        let (audit, clock) = (log.open(), Arc::clone(&log.clock) as _);

        let refused = testing::authority(issuer, bundle, audit, clock).await.err();

        assert!(matches!(refused, Some(AuthorityError::NotProven { .. })), "{case}: {refused:?}");
    }
    assert!(!log.events().contains(&"signing".to_owned()), "the throw-away SVID is no issuance");
}
