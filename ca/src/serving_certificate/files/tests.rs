//! Pairs that are replaced, and those that no client would take.

use std::{fs::Permissions, os::unix::fs::PermissionsExt, time::UNIX_EPOCH};

use metrics_exporter_prometheus::PrometheusBuilder;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SanType};
use signet_identity::{PrivateKey, certificate_pem, testing::TestAuthority};
use signet_runtime::testing::{CapturedLog, TokioClock};
use tempfile::TempDir;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const NAME: &str = "ca.signet.svc";

/// Two files, from a minute before [`start`] to an hour after unless they are changed.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        scene.write(|_| ());
        scene
    }

    fn files(&self) -> ServingFiles {
        ServingFiles { certificate: self.0.path().join("tls.crt"), key: self.0.path().join("tls.key") }
    }

    fn judge(&self) -> Result<(), ServingFileError> {
        self.files().judge(&names(), start())
    }

    fn serving(&self) -> FileServing {
        FileServing::start(self.files(), names(), Arc::new(TokioClock::starting_at(start()))).unwrap()
    }

    fn write(&self, change: impl FnOnce(&mut CertificateParams)) {
        let (authority, key) = (TestAuthority::new("td.test", start()), PrivateKey::generate().unwrap());
        let identity = "spiffe://td.test/ns/a/sa/b".parse().unwrap();
        let leaf = authority.leaf(key.public_key(), &identity, start()).change(|params| {
            params.subject_alt_names = vec![SanType::DnsName(NAME.try_into().unwrap())];
            change(params);
        });
        let pem: String = leaf.sign().iter().map(|certificate| certificate_pem(certificate)).collect();
        fs::write(self.files().certificate, pem).unwrap();
        self.write_key(&key);
    }

    fn write_key(&self, key: &PrivateKey) {
        files::write_atomically(&self.files().key, key.to_pkcs8_pem().as_bytes(), 0o600).unwrap();
    }
}

fn names() -> Vec<String> {
    vec!["other.signet.svc".to_owned(), NAME.to_owned()]
}

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

#[test]
fn a_key_is_taken_as_kubernetes_mounts_it_and_refused_if_everybody_may_write_it() {
    let scene = Scene::new();
    for (mode, remarked) in [(0o600, false), (0o440, false), (0o644, true)] {
        fs::set_permissions(scene.files().key, Permissions::from_mode(mode)).unwrap();
        scene.judge().unwrap();

        let log = CapturedLog::begin();
        scene.serving();
        assert_eq!(log.text().contains("may read the serving key"), remarked, "{mode:o}: {}", log.text());
    }
    fs::set_permissions(scene.files().key, Permissions::from_mode(0o646)).unwrap();

    let refused = scene.judge().unwrap_err();

    assert!(matches!(refused, ServingFileError::Key(_)), "{refused}");
}

#[test]
fn what_no_client_would_take_is_refused_with_the_remedy() {
    type Change = fn(&mut CertificateParams);
    let cases: [(&str, Change, &str); 7] = [
        (
            "over",
            |leaf| leaf.not_after = (start() - Duration::from_secs(1)).into(),
            "set this machine's clock",
        ),
        ("not yet", |leaf| leaf.not_before = (start() + HOUR / 2).into(), "set this machine's clock"),
        (
            "clients only",
            |leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            "extendedKeyUsage serverAuth",
        ),
        (
            "a CA",
            |leaf| leaf.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained),
            "not for a TLS server",
        ),
        ("another name", |leaf| leaf.subject_alt_names = dns("ca.example"), "none of `identity.dns_names`"),
        ("a wider name", |leaf| leaf.subject_alt_names = dns("*.svc"), "(other.signet.svc, ca.signet.svc)"),
        ("no name", |leaf| leaf.subject_alt_names = Vec::new(), "none of `identity.dns_names`"),
    ];
    for (case, change, want) in cases {
        let scene = Scene::new();
        scene.write(change);

        let refused = chain(&scene.judge().expect_err(case)).to_string();

        assert!(refused.contains(want) && refused.contains("tls.crt"), "{case}: {refused}");
    }
    let good: [(&str, Change); 2] = [
        ("for any use", |leaf| leaf.extended_key_usages = Vec::new()),
        ("a wildcard", |leaf| leaf.subject_alt_names = dns("*.signet.svc")),
    ];
    for (case, change) in good {
        let scene = Scene::new();
        scene.write(change);
        assert!(scene.judge().is_ok(), "{case}");
    }
}

fn dns(name: &str) -> Vec<SanType> {
    vec![SanType::DnsName(name.try_into().unwrap())]
}

#[test]
fn what_cannot_be_shown_is_refused_and_what_is_shown_stays() {
    let scene = Scene::new();
    scene.write_key(&PrivateKey::generate().unwrap());
    assert!(scene.judge().unwrap_err().to_string().contains("does not fit"), "another key");
    scene.write(|_| ());
    let mut serving = scene.serving();
    let shown = format!("{:?}", serving.certificate);

    for (case, content) in [("half", "-----BEGIN CERTIFICATE-----\nAAAA"), ("empty", "")] {
        fs::write(scene.files().certificate, content).unwrap();
        assert!(serving.look().unwrap_err().to_string().contains("no certificate in PEM"), "{case}");
    }
    scene.write(|leaf| leaf.not_after = (start() - Duration::from_secs(1)).into());
    assert!(matches!(serving.look(), Err(ServingFileError::Leaf { .. })), "over");
    fs::remove_file(scene.files().certificate).unwrap();
    assert!(serving.look().unwrap_err().to_string().contains("cannot read"));
    assert_eq!(format!("{:?}", serving.certificate), shown);

    scene.write(|_| ());
    serving.look().unwrap();
    assert_ne!(format!("{:?}", serving.certificate), shown);
    assert!(serving.shown == scene.files().read().unwrap());
}

#[test]
fn the_gauge_tells_when_the_certificate_that_is_shown_ends() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let told = || {
        let page = recorder.handle().render();
        let gauge = "signet_ca_serving_certificate_expires_timestamp_seconds ";
        page.lines().find_map(|line| line.strip_prefix(gauge)).map(str::to_owned)
    };
    let scene = Scene::new();
    let mut serving = scene.serving();
    assert_eq!(told().as_deref(), Some("1800003600"));

    scene.write(|leaf| leaf.not_after = (start() + 2 * HOUR).into());
    serving.look().unwrap();

    assert_eq!(told().as_deref(), Some("1800007200"));
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_stays_wrong_is_told_of_once_and_a_torn_one_never() {
    let scene = Scene::new();
    let (serving, log) = (scene.serving(), CapturedLog::begin());
    let told = || log.text().matches("is not replaced").count();
    let running = TaskTracker::new();
    running.spawn(serving.run(CancellationToken::new()));
    sleep(LOOK_EVERY / 2).await;

    scene.write_key(&PrivateKey::generate().unwrap());
    sleep(LOOK_EVERY).await;
    scene.write(|_| ());
    sleep(2 * LOOK_EVERY).await;
    assert_eq!(told(), 0, "{}", log.text());

    for time in 1..=2 {
        scene.write_key(&PrivateKey::generate().unwrap());
        sleep(4 * LOOK_EVERY).await;
        assert_eq!(told(), time, "{}", log.text());
        scene.write(|_| ());
        sleep(LOOK_EVERY).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_from_thirty_percent_on_and_a_new_pair_ends_that() {
    let scene = Scene::new();
    let (serving, log) = (scene.serving(), CapturedLog::begin());
    let told = |what: &str| log.text().matches(what).count();
    let running = TaskTracker::new();
    running.spawn(serving.run(CancellationToken::new()));

    sleep(HOUR / 2).await;
    assert_eq!(told("ends soon"), 0, "{}", log.text());
    sleep(HOUR / 4).await;
    assert_eq!(told("ends soon"), 1, "{}", log.text());
    sleep(HOUR / 2).await;
    assert!(told("has ended") > 1, "{}", log.text());

    scene.write(|leaf| leaf.not_after = (start() + 24 * HOUR).into());
    sleep(LOOK_EVERY).await;
    let ended = told("has ended");
    sleep(HOUR).await;
    assert_eq!(told("has ended"), ended);
}
