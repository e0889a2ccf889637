//! A real state directory, real keys, and a clock that is advanced.

mod elsewhere;
mod restarts;
mod trouble;

use std::{
    fs,
    path::{Path, PathBuf},
};

use futures_util::future::join;
use signet_identity::{Approved, ManualClock, PrivateKey, SigningKey, X509Svid, testing::TestAuthority};
use signet_runtime::RequestId;
use tempfile::TempDir;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    audit::{Requester, testing::LogOnDisk},
    authority::{Authority, IssueError, IssueRequest},
    store::StoreSettings,
};

const SECOND: Duration = Duration::from_secs(1);
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
        ask(&Authority::new(standing, self.log.open(), Arc::clone(self.clock()) as _)).await
    }

    fn kept_keys(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.state.path()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| name(path).starts_with("kept-key-")).collect()
    }

    fn state(&self) -> String {
        fs::read_to_string(self.state.path().join("state.json")).unwrap()
    }
}

async fn ask(authority: &Authority) -> Result<X509Svid, IssueError> {
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
    let version = |driver: &Driver| driver.standing().unwrap().bundle.version().unwrap();
    let (epoch, sequence) = (version(&driver).epoch, |driver: &Driver| version(driver).sequence);
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

    for sequence_then in [4, 5] {
        driver.take(offer(&scene.root())).await.unwrap();
        assert_eq!((roots(&driver), sequence(&driver)), (2, sequence_then), "a root in place of another");
    }
    assert_eq!(version(&driver).epoch, epoch);
}

#[tokio::test]
async fn an_authority_that_is_over_is_followed_as_soon_as_agents_can_have_the_new_root() {
    let scene = Scene::new();
    let (root, now) = (scene.root(), scene.clock().now());
    let short = root.intermediate_with(now, |params| params.not_after = (now + HOUR).into());
    let (mut driver, new) = (scene.started_with(&short).await, scene.root());
    driver.take(offer(&new)).await.unwrap();

    scene.clock().advance(HOUR - MINUTE);
    driver.step().unwrap();
    assert_eq!(signs(&driver), Some(short.certificate().key_id()), "as long as it can");

    scene.clock().advance(2 * MINUTE);
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
async fn time_is_looked_at_when_something_is_due_and_often_in_any_case() {
    let scene = Scene::new();
    let mut driver = scene.started_with(&scene.root()).await;
    assert_eq!(driver.until_next_look(), 30 * SECOND, "nothing is under way");
    driver.take(offer(&scene.root())).await.unwrap();
    assert_eq!(driver.until_next_look(), 30 * SECOND, "in a day");

    scene.clock().advance(SETTINGS.overlap - 7 * SECOND);
    assert_eq!(driver.until_next_look(), 7 * SECOND);
}

#[tokio::test]
async fn what_became_due_while_nothing_ran_is_made_and_published_at_once() {
    let scene = Scene::new();
    let (mut driver, new) = (scene.started_with(&scene.root()).await, scene.root());
    driver.take(offer(&new)).await.unwrap();
    let authority =
        Authority::new(driver.standing().unwrap(), scene.log.open(), Arc::clone(scene.clock()) as _);
    let (_source, offers) = mpsc::channel(1);
    let (mut changes, stop) = (authority.changes(), CancellationToken::new());
    scene.clock().advance(SETTINGS.overlap);
    let scenario = async {
        changes.changed().await.unwrap();
        stop.cancel();
    };

    let both = join(driver.run(authority.clone(), offers, stop.clone()), scenario);
    timeout(10 * SECOND, both).await.unwrap();

    assert_eq!(authority.certificate().map(|signs| signs.key_id()), Some(new.certificate().key_id()));
}

#[tokio::test]
async fn what_a_source_offers_is_published_while_the_driver_runs() {
    let scene = Scene::new();
    let (driver, new) = (scene.started_with(&scene.root()).await, scene.root());
    let readiness = driver.readiness.clone();
    let authority =
        Authority::new(driver.standing().unwrap(), scene.log.open(), Arc::clone(scene.clock()) as _);
    let (source, offers) = mpsc::channel(1);
    let (mut changes, stop) = (authority.changes(), CancellationToken::new());
    let running = driver.run(authority.clone(), offers, stop.clone());
    let scenario = async {
        source.send(Ok(offer(&new))).await.unwrap();
        changes.changed().await.unwrap();
        stop.cancel();
    };

    timeout(MINUTE, join(running, scenario)).await.unwrap();

    assert_eq!(authority.bundle().authorities().len(), 2);
    assert!(readiness.to_string().contains("trust: prepared: authority "), "{readiness}");
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

#[tokio::test(start_paused = true)]
async fn the_page_says_who_signs_what_follows_and_since_when_nothing_is_issued() {
    let scene = Scene::new();
    let (old, new) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&old).await;
    driver.take(offer(&new)).await.unwrap();
    let authority =
        Authority::new(driver.standing().unwrap(), scene.log.open(), Arc::clone(scene.clock()) as _);
    let says = |driver: &Driver, words: &str| {
        driver.report(&authority);
        let page = driver.readiness.to_string();
        assert!(page.contains(words), "{words}: {page}");
    };
    let [old, new] = [old, new].map(|one| one.certificate().key_id());
    says(
        &driver,
        &format!("trust: prepared: authority {old} (injected) signs, {new} (injected) follows at "),
    );
    says(&driver, "issuing: good");
    drop(driver);

    let mut driver = scene.start().await;
    scene.clock().advance(SETTINGS.overlap);
    driver.look().await;
    says(&driver, &format!("{new} (injected) follows as soon as it can sign; 2 roots"));
    for kept in scene.kept_keys() {
        fs::remove_file(kept).unwrap();
    }
    drop(driver);
    let driver = scene.start().await;
    says(&driver, &format!("authority {old} (injected) cannot sign now"));
    scene.clock().advance(100 * 365 * 24 * HOUR);
    let refused = ask(&authority).await.unwrap_err();
    says(&driver, "issuing: no certificate since 2");
    says(&driver, &chain(&refused).to_string());
}
