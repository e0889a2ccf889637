//! A real state directory, real keys, and a clock that is advanced.

use std::{
    fs,
    path::{Path, PathBuf},
};

use signet_identity::{Approved, ManualClock, PrivateKey, SigningKey, X509Svid, testing::TestAuthority};
use signet_runtime::RequestId;
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::{
    audit::{Requester, testing::LogOnDisk},
    authority::{Authority, IssueError, IssueRequest},
    store::StoreSettings,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const SETTINGS: Settings =
    Settings { overlap: Duration::from_secs(24 * 3600), longest_leaf: HOUR, keep_key: true };

fn trust_domain() -> TrustDomain {
    "cluster.local".parse().unwrap()
}

/// A state directory, and everything around a CA that uses it.
struct Scene {
    state: TempDir,
    log: LogOnDisk,
    settings: Settings,
}

impl Scene {
    fn new() -> Self {
        Self::with(SETTINGS)
    }

    fn with(settings: Settings) -> Self {
        let scene = Self { state: tempfile::tempdir().unwrap(), log: LogOnDisk::new(), settings };
        fs::set_permissions(scene.state.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        scene
    }

    fn clock(&self) -> &Arc<ManualClock> {
        &self.log.clock
    }

    fn root(&self) -> TestAuthority {
        TestAuthority::new("cluster.local", self.clock().now())
    }

    /// As a start does it.
    async fn start(&self) -> Driver {
        let settings = StoreSettings {
            directory: self.state.path().to_owned(),
            trust_domain: trust_domain(),
            origin: Origin::Injected,
        };
        let store = DirectoryStore::open(&settings, self.clock().now()).unwrap();
        let clock = Arc::clone(self.clock()) as _;
        Driver::new(store, trust_domain(), self.settings, clock, Readiness::of("ca")).await
    }

    async fn started_with(&self, authority: &TestAuthority) -> Driver {
        let mut driver = self.start().await;
        driver.take(offer(authority)).await.unwrap();
        driver
    }

    /// Who signs by what the driver says now: the issuer of a leaf that peers of all published roots accept.
    async fn issued(&self, driver: &Driver) -> Result<X509Svid, IssueError> {
        let standing = driver.standing().unwrap();
        let authority = Authority::new(standing, self.log.open(), Arc::clone(self.clock()) as _);
        let key = PrivateKey::generate().unwrap();
        let approved = Approved::for_the_authority(&trust_domain(), Vec::new(), &key, MINUTE).unwrap();
        let request = IssueRequest {
            request_id: RequestId::random(),
            requester: Requester::Authority,
            approved,
            deadline: Instant::now() + MINUTE,
            place: None,
        };
        authority.issue(request).await.map(|issuance| issuance.svid)
    }

    fn kept_keys(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.state.path()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| name(path).starts_with("kept-key-")).collect()
    }

    fn state(&self) -> String {
        fs::read_to_string(self.state.path().join("state.json")).unwrap()
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn key_of(authority: &TestAuthority) -> Arc<SigningKey> {
    Arc::new(SigningKey::from_pem(&authority.key().to_pkcs8_pem()).unwrap())
}

fn offer(authority: &TestAuthority) -> Offer {
    Offer {
        origin: Origin::Injected,
        certificate: authority.certificate().clone(),
        intermediates: authority.intermediates().to_vec(),
        roots: authority.bundle().authorities().to_vec(),
        signer: OfferedSigner::Key(key_of(authority), None),
        ends_the_last: false,
    }
}

fn signs(driver: &Driver) -> Option<String> {
    driver.standing().unwrap().active.map(|active| active.certificate().key_id())
}

fn roots(driver: &Driver) -> usize {
    driver.standing().unwrap().bundle.authorities().len()
}

#[tokio::test]
async fn the_first_offer_signs_at_once_and_a_new_root_after_the_overlap() {
    let scene = Scene::new();
    let (old, new) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&old).await;
    assert_eq!((signs(&driver), roots(&driver)), (Some(old.certificate().key_id()), 1));
    scene.issued(&driver).await.unwrap();

    driver.take(offer(&new)).await.unwrap();
    assert_eq!((signs(&driver), roots(&driver)), (Some(old.certificate().key_id()), 2));
    scene.issued(&driver).await.unwrap();

    scene.clock().advance(SETTINGS.overlap);
    driver.step().unwrap();
    assert_eq!((signs(&driver), roots(&driver)), (Some(new.certificate().key_id()), 2));
    scene.issued(&driver).await.unwrap();

    scene.clock().advance(SETTINGS.longest_leaf);
    driver.step().unwrap();
    assert_eq!((signs(&driver), roots(&driver)), (Some(new.certificate().key_id()), 1));
}

#[tokio::test]
async fn every_change_of_the_roots_has_a_higher_sequence_and_nothing_else_has() {
    let scene = Scene::new();
    let (old, new) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&old).await;
    let sequence = |driver: &Driver| driver.standing().unwrap().bundle.version().unwrap().sequence;
    let mut seen = vec![sequence(&driver)];

    driver.take(offer(&old.intermediate(scene.clock().now()))).await.unwrap();
    seen.push(sequence(&driver));
    driver.take(offer(&new)).await.unwrap();
    seen.push(sequence(&driver));
    scene.clock().advance(SETTINGS.overlap);
    driver.step().unwrap();
    seen.push(sequence(&driver));
    scene.clock().advance(SETTINGS.longest_leaf);
    driver.step().unwrap();
    seen.push(sequence(&driver));

    assert_eq!(seen, [1, 1, 2, 2, 3], "an intermediate, a new root, its turn, the old root's end");
}

#[tokio::test]
async fn a_restart_in_any_state_goes_on_where_it_was() {
    let scene = Scene::new();
    let (old, new) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&old).await;
    driver.take(offer(&new)).await.unwrap();
    assert_eq!(scene.kept_keys().len(), 1, "the files have the next key by now: the old one is kept");
    drop(driver);

    scene.clock().advance(HOUR);
    let mut driver = scene.start().await;
    assert_eq!((signs(&driver), roots(&driver)), (Some(old.certificate().key_id()), 2), "prepared");
    driver.take(offer(&new)).await.unwrap();
    scene.clock().advance(SETTINGS.overlap - HOUR);
    driver.step().unwrap();
    assert_eq!(signs(&driver), Some(new.certificate().key_id()), "the overlap counts from its beginning");
    assert_eq!(scene.kept_keys(), [""; 0].map(PathBuf::from), "the copy is gone when nobody needs it");
    drop(driver);

    let mut driver = scene.start().await;
    assert_eq!((signs(&driver), roots(&driver)), (None, 2), "retiring, and the key is with the operator");
    driver.take(offer(&new)).await.unwrap();
    assert_eq!((signs(&driver), roots(&driver)), (Some(new.certificate().key_id()), 2));
    scene.clock().advance(SETTINGS.longest_leaf);
    driver.step().unwrap();
    assert_eq!(roots(&driver), 1, "steady");
}

#[tokio::test]
async fn a_restart_without_the_old_key_issues_nothing_until_agents_can_have_the_new_root() {
    let scene = Scene::with(Settings { keep_key: false, ..SETTINGS });
    let (old, new) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&old).await;
    driver.take(offer(&new)).await.unwrap();
    assert_eq!(scene.kept_keys(), [""; 0].map(PathBuf::from));
    drop(driver);

    let mut driver = scene.start().await;
    driver.take(offer(&new)).await.unwrap();
    let until = Some(scene.clock().now() + 3 * MINUTE);
    let refused = scene.issued(&driver).await;
    assert!(
        matches!(&refused, Err(IssueError::NobodySigns { until: told }) if *told == until),
        "{refused:?}"
    );
    scene.clock().advance(3 * MINUTE);
    driver.step().unwrap();

    assert_eq!(signs(&driver), Some(new.certificate().key_id()));
}

#[tokio::test]
async fn an_offer_that_peers_would_not_accept_changes_nothing() {
    let scene = Scene::new();
    let (good, other) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&good).await;
    let before = scene.state();
    let refusals = [
        (
            "another key",
            Offer { signer: OfferedSigner::Key(key_of(&other), None), ..offer(&scene.root()) },
            "would be refused",
        ),
        (
            "another root",
            Offer { roots: other.bundle().authorities().to_vec(), ..offer(&scene.root()) },
            "does not lead to any of the roots",
        ),
        (
            "no intermediate",
            Offer {
                intermediates: Vec::new(),
                ..offer(&other.intermediate(scene.clock().now()).intermediate(scene.clock().now()))
            },
            "does not lead to any of the roots",
        ),
    ];
    for (case, offer, reason) in refusals {
        let refused = driver.take(offer).await.unwrap_err();
        assert!(chain(&refused).to_string().contains(reason), "{case}: {}", chain(&refused));
        assert_eq!(signs(&driver), Some(good.certificate().key_id()), "{case}");
        assert_eq!(scene.state(), before, "{case}");
    }
    scene.issued(&driver).await.unwrap();
}

#[tokio::test]
async fn a_change_that_cannot_be_made_durable_is_not_made() {
    let scene = Scene::new();
    let (old, new) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&old).await;
    let state = scene.state.path().join("state.json");
    fs::rename(&state, scene.state.path().join("aside")).unwrap();
    fs::create_dir(&state).unwrap();

    driver.take(offer(&new)).await.unwrap_err();
    assert_eq!((signs(&driver), roots(&driver)), (Some(old.certificate().key_id()), 1));

    fs::remove_dir(&state).unwrap();
    driver.take(offer(&new)).await.unwrap();
    assert_eq!(roots(&driver), 2);
}

#[tokio::test]
async fn a_bundle_that_is_full_takes_no_further_root() {
    let scene = Scene::with(Settings { overlap: Duration::ZERO, ..SETTINGS });
    let mut driver = scene.started_with(&scene.root()).await;
    for _ in 1..signet_identity::MAX_AUTHORITIES {
        driver.take(offer(&scene.root())).await.unwrap();
    }
    let signed = signs(&driver);

    let refused = driver.take(offer(&scene.root())).await.unwrap_err();

    assert!(chain(&refused).to_string().contains("too many roots"), "{refused}");
    assert_eq!(signs(&driver), signed);
}

#[tokio::test]
async fn the_authority_of_the_last_run_goes_on_while_another_kind_waits() {
    let scene = Scene::with(Settings { keep_key: false, ..SETTINGS });
    let (old, new) = (scene.root(), scene.root());
    drop(scene.started_with(&old).await);
    let mut driver = scene.start().await;
    assert_eq!(driver.silent_origin(), Some(Origin::Injected));

    driver.revive(offer(&old)).await.unwrap();
    driver.take(Offer { origin: Origin::VaultIntermediate, ..offer(&new) }).await.unwrap();
    assert_eq!((driver.silent_origin(), signs(&driver)), (None, Some(old.certificate().key_id())));
    drop(driver);

    scene.clock().advance(HOUR);
    let mut driver = scene.start().await;
    driver.revive(offer(&old.intermediate(scene.clock().now()))).await.unwrap();
    assert_eq!(roots(&driver), 2, "what waits goes on waiting");
    driver.take(Offer { origin: Origin::VaultIntermediate, ..offer(&new) }).await.unwrap();
    scene.clock().advance(SETTINGS.overlap - HOUR);
    driver.step().unwrap();
    assert_eq!(signs(&driver), Some(new.certificate().key_id()));
}

#[tokio::test]
async fn only_the_authority_of_the_last_run_can_go_on() {
    let scene = Scene::new();
    drop(scene.started_with(&scene.root()).await);
    let mut driver = scene.start().await;

    let refused = driver.revive(offer(&scene.root())).await.unwrap_err();

    assert!(matches!(refused, OfferRefused::Another), "{refused}");
}

#[tokio::test]
async fn leaves_never_outlive_what_stands_above_their_signer() {
    let scene = Scene::new();
    let root = scene.root();
    let now = scene.clock().now();
    let short =
        root.intermediate_with(now, |params| params.not_after = (now + 40 * Duration::from_secs(1)).into());
    let driver = scene.started_with(&short.intermediate(now)).await;

    let svid = scene.issued(&driver).await.unwrap();

    assert_eq!(svid.validity().not_after(), now + 40 * Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn what_a_source_says_is_on_the_status_page() {
    let scene = Scene::new();
    let mut driver = scene.started_with(&scene.root()).await;

    driver.hear(Err(SourceFault("ca-key.pem: it is not PEM".to_owned()))).await;
    assert!(driver.readiness.to_string().contains("source of the authority: ca-key.pem: it is not PEM"));
    let wrong = Offer { signer: OfferedSigner::Key(key_of(&scene.root()), None), ..offer(&scene.root()) };
    driver.hear(Ok(wrong)).await;
    assert!(driver.readiness.to_string().contains("source of the authority: what it offers is refused: "));
    driver.hear(Ok(offer(&scene.root()))).await;
    assert!(driver.readiness.to_string().contains("source of the authority: good"));
}

/// The state cannot be written from here on.
fn block(scene: &Scene) -> PathBuf {
    let state = scene.state.path().join("state.json");
    fs::rename(&state, scene.state.path().join("aside")).unwrap();
    fs::create_dir(&state).unwrap();
    state
}

#[tokio::test]
async fn a_change_that_is_durable_is_made_though_its_export_fails() {
    let scene = Scene::new();
    let (old, new) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&old).await;
    driver.take(offer(&new)).await.unwrap();
    let export = scene.state.path().join("root-cert.pem");
    fs::remove_file(&export).unwrap();
    fs::create_dir(&export).unwrap();
    scene.clock().advance(SETTINGS.overlap);

    driver.step().unwrap_err();
    assert_eq!((signs(&driver), roots(&driver)), (Some(new.certificate().key_id()), 2));

    fs::remove_dir(&export).unwrap();
    driver.step().unwrap();
    assert_eq!(fs::read_to_string(&export).unwrap(), driver.standing().unwrap().bundle.to_pem());
}

#[tokio::test]
async fn an_authority_that_cannot_sign_takes_nobodys_place() {
    let scene = Scene::new();
    let (old, new) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&old).await;
    driver.take(offer(&new)).await.unwrap();
    drop(driver);

    let mut driver = scene.start().await;
    scene.clock().advance(SETTINGS.overlap + HOUR);
    driver.look().await;
    assert_eq!((signs(&driver), roots(&driver)), (Some(old.certificate().key_id()), 2));
    assert_eq!(scene.kept_keys().len(), 1, "it is still needed");
    assert_eq!(driver.follows(scene.clock().now()), Some(Follows::WhenItCanSign));
    scene.issued(&driver).await.unwrap();

    driver.take(offer(&new)).await.unwrap();
    assert_eq!(signs(&driver), Some(new.certificate().key_id()), "its root has travelled meanwhile");
}

#[tokio::test(start_paused = true)]
async fn a_refused_offer_is_tried_again_though_its_source_says_it_once() {
    let scene = Scene::new();
    let (old, new) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&old).await;
    let state = block(&scene);
    driver.hear(Ok(offer(&new))).await;
    assert_eq!(roots(&driver), 1);
    let mut waits = vec![driver.until_next_look().as_secs()];
    for _ in 0..6 {
        driver.look().await;
        waits.push(driver.until_next_look().as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30], "rarely, on a disk that is full");

    fs::remove_dir(&state).unwrap();
    driver.look().await;

    assert_eq!(roots(&driver), 2);
    assert!(driver.readiness.to_string().contains("source of the authority: good"));
    assert_eq!(driver.until_next_look().as_secs(), 30);
}

#[tokio::test]
async fn a_source_that_takes_its_offer_back_is_believed() {
    let scene = Scene::new();
    let mut driver = scene.started_with(&scene.root()).await;
    let state = block(&scene);
    driver.hear(Ok(offer(&scene.root()))).await;

    driver.hear(Err(SourceFault("ca-key.pem: it is not PEM".to_owned()))).await;
    fs::remove_dir(&state).unwrap();
    driver.look().await;

    assert_eq!(roots(&driver), 1);
}

#[tokio::test]
async fn a_change_that_is_due_and_not_durable_is_tried_again_and_rarely() {
    let scene = Scene::new();
    let (old, new) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&old).await;
    driver.take(offer(&new)).await.unwrap();
    let state = block(&scene);
    scene.clock().advance(SETTINGS.overlap);
    let mut waits = Vec::new();
    for _ in 0..3 {
        driver.look().await;
        waits.push(driver.until_next_look().as_secs());
    }
    assert_eq!((waits, signs(&driver)), (vec![1, 2, 4], Some(old.certificate().key_id())));

    fs::remove_dir(&state).unwrap();
    driver.look().await;
    assert_eq!(signs(&driver), Some(new.certificate().key_id()));
}

#[tokio::test]
async fn whoever_is_refused_because_nobody_signs_is_in_the_audit() {
    let scene = Scene::new();
    let mut driver = scene.started_with(&scene.root()).await;
    drop(driver);
    driver = scene.start().await;

    let refused = scene.issued(&driver).await.unwrap_err();

    assert!(matches!(refused, IssueError::NobodySigns { until: None }), "{refused:?}");
    assert_eq!(scene.log.events().last().map(String::as_str), Some("refused"));
}
