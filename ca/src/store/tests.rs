//! Every state that a crash, an operator or a second process can bring a directory into.

mod trust;

use std::{fs::Permissions, os::unix::fs::PermissionsExt, time::SystemTime};

use signet_identity::{BundleVersion, Clock, ManualClock};
use tempfile::TempDir;

use super::*;

/// A directory, and the root that signs.
#[derive(Debug)]
struct Opened {
    store: DirectoryStore,
    root: KnownAuthority,
    key: SigningKey,
}

impl Opened {
    fn bundle(&self) -> &TrustBundle {
        &self.store.held().unwrap().bundle
    }
}

const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A state directory that does not exist yet, and a clock.
struct Scene {
    parent: TempDir,
    clock: ManualClock,
}

impl Scene {
    fn new() -> Self {
        Self { parent: tempfile::tempdir().unwrap(), clock: ManualClock::at(start()) }
    }

    /// One that has been through its first start.
    fn started() -> Self {
        let scene = Self::new();
        scene.open().unwrap();
        scene
    }

    fn directory(&self) -> PathBuf {
        self.parent.path().join("state")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    fn open(&self) -> Result<Opened, StoreError> {
        self.open_for("cluster.local")
    }

    /// As a CA with a root of its own starts.
    fn open_for(&self, trust_domain: &str) -> Result<Opened, StoreError> {
        let mut store = DirectoryStore::open(&self.settings(trust_domain), self.clock.now())?;
        let (root, key) = store.local_root(TEN_YEARS, self.clock.now())?;
        if store.held().is_none() {
            store.commit(Trust::steady(root.clone()), self.clock.now())?;
            store.follow()?;
        }
        Ok(Opened { store, root, key })
    }

    fn settings(&self, trust_domain: &str) -> StoreSettings {
        let trust_domain = trust_domain.parse().unwrap();
        StoreSettings { directory: self.directory(), trust_domain, origin: Origin::Local }
    }

    /// What a start says, and a check before it.
    fn refused(&self) -> String {
        let before = self.files();
        let judged = self.judge();
        let error = self.open().unwrap_err().to_string();
        assert!(self.files() == before, "a refused directory was changed: {:?}", self.names());
        assert!(judged.contains(&error), "a check says otherwise than {error}: {judged:?}");
        error
    }

    fn judge(&self) -> Vec<String> {
        self.judge_for("cluster.local")
    }

    fn judge_for(&self, trust_domain: &str) -> Vec<String> {
        let faults = judge(&self.settings(trust_domain), self.clock.now());
        faults.iter().map(ToString::to_string).collect()
    }

    /// Name and content of each file, but for the lock.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(self.directory())
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
            .filter(|(name, _)| name != "lock")
            .collect();
        files.sort();
        files
    }

    fn names(&self) -> Vec<String> {
        self.files().into_iter().map(|(name, _)| name).collect()
    }

    fn names_of_files(&self) -> Vec<String> {
        let files = fs::read_dir(self.directory()).unwrap().map(|entry| entry.unwrap());
        let files = files.filter(|entry| entry.file_type().unwrap().is_file());
        let names = files.map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| name != "lock").collect()
    }

    fn key_file(&self) -> PathBuf {
        self.file(&self.names().into_iter().find(|name| name.starts_with("key-")).unwrap())
    }
}

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_first_start_makes_a_root_from_nothing_and_the_next_finds_it() {
    let scene = Scene::new();
    let first = scene.open().unwrap();
    let (root, key) = (first.root.certificate.der().clone(), first.key.public_key().clone());
    drop(first);
    scene.clock.advance(Duration::from_secs(3600));

    let second = scene.open().unwrap();

    assert_eq!(second.root.certificate.der(), &root);
    assert_eq!(second.key.public_key(), &key);
    assert_eq!(second.bundle().version(), Some(BundleVersion { epoch: 1_800_000_000, sequence: 1 }));
    assert_eq!(second.bundle().authorities(), [root]);
}

#[test]
fn files_are_private_but_for_the_exported_bundle() {
    let scene = Scene::started();

    assert_eq!(mode(&scene.directory()), 0o700);
    assert_eq!(mode(&scene.key_file()), 0o600);
    assert_eq!(mode(&scene.file("state.json")), 0o600);
    assert_eq!(mode(&scene.file("lock")), 0o600);
    assert_eq!(mode(&scene.file("root-cert.pem")), 0o644);
}

#[test]
fn the_root_lives_as_long_as_configured() {
    let scene = Scene::new();
    let validity = scene.open().unwrap().root.certificate.validity();

    assert!(validity.contains(start()));
    assert_eq!(validity.not_after(), start() + Duration::from_secs(10 * 365 * 86_400));
}

/// The first start goes lock, key, state, export, each by a temporary file: here it ends after each step.
#[test]
fn a_crash_at_any_step_of_the_first_start_leaves_a_directory_that_starts() {
    let whole = Scene::started();
    let files = whole.files();
    let content = |wanted: &str| files.iter().find(|(name, _)| name.starts_with(wanted)).unwrap();
    let (key, state) = (content("key-"), content("state.json"));
    let half = |(name, content): &(String, Vec<u8>)| (format!(".{name}.x7.tmp"), content[..40].to_vec());
    for (step, left, is_committed) in [
        ("nothing but the directory", vec![], false),
        ("half a key", vec![half(key)], false),
        ("the key", vec![key.clone()], false),
        ("half a state", vec![key.clone(), half(state)], false),
        ("the state", vec![key.clone(), state.clone()], true),
        ("half an export", vec![key.clone(), state.clone(), half(content("root-cert.pem"))], true),
    ] {
        let scene = Scene::new();
        files::create_private_directory(&scene.directory()).unwrap();
        for (name, content) in &left {
            files::write_atomically(&scene.file(name), content, 0o600).unwrap();
        }

        let store = scene.open().unwrap_or_else(|error| panic!("{step}: {error}"));

        let mut names = scene.names();
        names.retain(|name| !name.ends_with(".stray"));
        assert_eq!(names.len(), 3, "{step} leaves {names:?}");
        assert_eq!(names.contains(&key.0), is_committed, "{step}");
        assert_eq!(
            fs::read_to_string(scene.file("root-cert.pem")).unwrap(),
            store.bundle().to_pem(),
            "{step}"
        );
    }
}

#[test]
fn an_export_that_differs_is_made_again() {
    let scene = Scene::started();
    let exported = fs::read(scene.file("root-cert.pem")).unwrap();
    fs::write(scene.file("root-cert.pem"), "another root").unwrap();

    scene.open().unwrap();

    assert_eq!(fs::read(scene.file("root-cert.pem")).unwrap(), exported);
}

#[test]
fn a_directory_that_others_can_enter_is_refused_with_the_remedy() {
    let scene = Scene::started();
    for mode in [0o750, 0o701, 0o770] {
        set_mode(&scene.directory(), mode);
        let refused = scene.refused();
        assert!(refused.contains("chmod 0700") && refused.contains(&format!("{mode:04o}")), "{refused}");
    }
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_remedy() {
    let scene = Scene::started();
    for mode in [0o640, 0o604] {
        set_mode(&scene.key_file(), mode);
        let refused = scene.refused();
        assert!(refused.contains("chmod 0600") && refused.contains("key-"), "{refused}");
    }
}

#[test]
fn a_state_that_others_can_write_is_refused() {
    let scene = Scene::started();
    set_mode(&scene.file("state.json"), 0o660);
    assert!(scene.refused().contains("chmod 0600"));
}

#[test]
fn a_second_ca_on_the_same_directory_is_refused_and_told_who_has_it() {
    let scene = Scene::new();
    let first = scene.open().unwrap();

    let refused = scene.open().unwrap_err().to_string();
    assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");

    drop(first);
    scene.open().unwrap();
}

#[test]
fn who_has_a_directory_is_seen_without_taking_it() {
    let scene = Scene::new();
    assert_eq!(holder(&scene.directory()), None, "it is not there");
    let first = scene.open().unwrap();

    assert_eq!(holder(&scene.directory()), Some(std::process::id()));
    assert_eq!(scene.judge(), [""; 0], "a running CA is no fault");

    drop(first);
    assert_eq!(holder(&scene.directory()), None, "the file is there, and nobody holds it");
}

#[test]
fn a_check_says_everything_that_is_wrong_and_changes_nothing() {
    let scene = Scene::started();
    set_mode(&scene.directory(), 0o750);
    set_mode(&scene.key_file(), 0o640);
    let before = scene.files();
    scene.clock.advance(Duration::from_secs(11 * 365 * 86_400));

    let faults = scene.judge_for("example.org");

    for (fault, part) in
        faults.iter().zip(["chmod 0700", "trust domain cluster.local", "cannot sign", "chmod 0600"])
    {
        assert!(fault.contains(part), "{part}: {faults:?}");
    }
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert_eq!(scene.files(), before);
    assert_eq!(mode(&scene.directory()), 0o750);
}

/// The order that `tests/binary/first_start.rs` takes apart.
#[test]
fn a_first_start_writes_the_key_then_the_state_then_the_export() {
    let scene = Scene::new();
    let state = scene.file("state.json");
    let first_start = || -> Result<(), StoreError> {
        let now = scene.clock.now();
        let mut store = DirectoryStore::open(&scene.settings("cluster.local"), now)?;
        let (root, _key) = store.local_root(TEN_YEARS, now)?;
        fs::create_dir_all(&state).unwrap();
        let refused = store.commit(Trust::steady(root.clone()), now);
        assert!(
            matches!(&scene.names_of_files()[..], [key] if key.starts_with("key-")),
            "{:?}",
            scene.names_of_files()
        );
        refused.unwrap_err();
        fs::remove_dir(&state).unwrap();
        let export = scene.file("root-cert.pem");
        fs::create_dir(&export).unwrap();
        store.commit(Trust::steady(root), now).unwrap();
        assert!(state.exists(), "the export is no part of the commit");
        store.follow().unwrap_err();
        fs::remove_dir(&export).unwrap();
        store.follow()
    };
    first_start().unwrap();

    scene.open().unwrap();
    assert_eq!(scene.names()[1..], ["root-cert.pem", "state.json"]);
}

#[test]
fn a_directory_that_is_absent_or_empty_is_good_and_stays_so() {
    let scene = Scene::new();
    assert_eq!(scene.judge(), [""; 0]);
    assert!(!scene.directory().exists());

    files::create_private_directory(&scene.directory()).unwrap();
    assert_eq!(scene.judge(), [""; 0]);
    assert_eq!(scene.names(), [""; 0]);
}

#[test]
fn an_authority_that_is_over_or_not_begun_is_refused_with_the_remedy() {
    let scene = Scene::started();
    scene.clock.advance(Duration::from_secs(11 * 365 * 86_400));
    assert!(scene.refused().contains("cannot sign now. Check this machine's clock"));

    let scene = Scene { clock: ManualClock::at(start() - Duration::from_secs(3600)), ..Scene::started() };
    assert!(scene.refused().contains("cannot sign now. Check this machine's clock"));
}

#[test]
fn another_trust_domain_is_refused_with_the_remedy() {
    let scene = Scene::started();
    let before = scene.files();

    let refused = scene.open_for("example.org").unwrap_err().to_string();

    assert_eq!(scene.judge_for("example.org"), [refused.as_str()]);
    assert!(refused.contains("trust domain cluster.local, the configuration says example.org"), "{refused}");
    assert_eq!(scene.files(), before);
}

#[test]
fn a_lost_state_is_refused_and_the_key_is_kept() {
    let scene = Scene::started();
    fs::remove_file(scene.file("state.json")).unwrap();

    let refused = scene.refused();

    assert!(refused.contains("Restore the directory from a backup"), "{refused}");
}

#[test]
fn a_state_that_cannot_be_understood_is_refused_and_kept() {
    let whole = fs::read_to_string(Scene::started().file("state.json")).unwrap();
    for (case, state) in [
        ("empty", String::new()),
        ("half", whole.chars().take(whole.len() / 2).collect()),
        ("zeros, as a crash of some file systems leaves", "\0".repeat(whole.len())),
        ("a field of a later version", whole.replacen('{', "{\"later\":{},", 1)),
        ("a key outside of the directory", whole.replace("key-", "../key-")),
        ("no certificate", whole.replace("BEGIN CERTIFICATE", "BEGIN SOMETHING")),
    ] {
        let scene = Scene::started();
        files::write_atomically(&scene.file("state.json"), state.as_bytes(), 0o600).unwrap();
        let refused = scene.refused();
        assert!(refused.contains("state.json cannot be used. Restore"), "{case}: {refused}");
    }
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused_and_no_other_key_touched() {
    let scene = Scene::started();
    let other = PrivateKey::generate().unwrap();
    fs::write(scene.file("key-0123456789abcdef0123456789abcdef.pem"), other.to_pkcs8_pem().as_bytes())
        .unwrap();
    let key_file = scene
        .names()
        .into_iter()
        .find(|name| name.starts_with("key-") && !name.contains("0123456789abcdef"))
        .unwrap();
    for (case, content) in [
        ("another key", other.to_pkcs8_pem().as_bytes().to_vec()),
        ("no PEM", b"key".to_vec()),
        ("no text", vec![0xff; 100]),
    ] {
        files::write_atomically(&scene.file(&key_file), &content, 0o600).unwrap();
        let refused = scene.refused();
        assert!(refused.contains(".pem cannot be used. Restore"), "{case}: {refused}");
    }
    fs::remove_file(scene.file(&key_file)).unwrap();
    let refused = scene.refused();
    assert!(refused.contains(".pem, the key of the root, is missing. Restore the directory"), "{refused}");
}

#[test]
fn only_keys_of_ours_that_no_state_names_are_set_aside() {
    let scene = Scene::started();
    let named = scene.key_file();
    let stray = "key-0123456789abcdef0123456789abcdef.pem";
    let others = [
        "key-ca.pem",
        "key-0123abcd.pem",
        "key-0123456789ABCDEF0123456789ABCDEF.pem",
        "key-notes.pem",
        "operators-key.pem",
        "audit.log",
    ];
    for name in others.iter().chain([&stray]) {
        fs::write(scene.file(name), name).unwrap();
    }

    scene.open().unwrap();

    assert!(named.exists());
    assert!(!scene.file(stray).exists());
    let set_aside = fs::read_to_string(scene.file(&format!("{stray}.stray")));
    assert_eq!(set_aside.unwrap(), stray, "a key may have signed: it is never destroyed");
    for kept in others {
        assert!(scene.file(kept).exists(), "{kept}");
    }
}
