//! Files are watched even where file events cannot be had, in a process of its own: the limit is the
//! process'.

#![cfg(test)]

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls_pki_types::CertificateDer;
use signet_backends::injected::{Watch, WatchConfig};
use signet_runtime::testing::TokioClock;
use tokio::time::timeout;

#[tokio::test(start_paused = true)]
async fn where_the_limit_of_file_events_is_reached_the_poll_notices_changes() {
    let directory = tempfile::tempdir().unwrap();
    let first = put_a_root(directory.path());
    let config = WatchConfig {
        directory: directory.path().to_owned(),
        poll: Duration::from_secs(10),
        min_remaining: Duration::from_secs(60),
    };
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let mut watch = Watch::new(config, Arc::new(TokioClock::starting_at(now)));
    let before = with_one_file_descriptor_left();
    assert!(notify::recommended_watcher(|_| ()).is_err(), "file events are there");

    let told = [watch.next().await, {
        put_a_root(directory.path());
        timeout(Duration::from_secs(11), watch.next()).await.expect("the poll notices nothing")
    }];

    setrlimit(Resource::Nofile, before).unwrap();
    let [told, then] = told.map(|set| set.map(|set| set.certificate.der().clone()));
    assert_eq!(told.as_ref(), Ok(&first));
    assert!(then.is_ok() && then != told, "{then:?}");
}

/// A new root that signs by itself.
fn put_a_root(directory: &Path) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = params.self_signed(&key).unwrap();
    for (name, content) in [("tls.crt", root.pem()), ("tls.key", key.serialize_pem()), ("ca.crt", root.pem())]
    {
        fs::write(directory.join(name), content).unwrap();
    }
    root.der().clone()
}

/// Enough to read files one by one, and too few for inotify, which wants three.
fn with_one_file_descriptor_left() -> Rlimit {
    let before = getrlimit(Resource::Nofile);
    let next = fs::File::open("/dev/null").map(|file| std::os::fd::AsRawFd::as_raw_fd(&file)).unwrap();
    let current = Some(u64::try_from(next).unwrap() + 1);
    setrlimit(Resource::Nofile, Rlimit { current, maximum: before.maximum }).unwrap();
    before
}
