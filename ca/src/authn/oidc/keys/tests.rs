//! How keys stay fresh, and how they survive a source that fails.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use signet_identity::{ManualClock, jwt::DevelopmentIssuer};
use signet_runtime::testing::CapturedLog;

use super::*;
use crate::{
    authn::Fetcher,
    testing::{HttpServer, ISSUER, KeyFile, issuer},
};

const FLOOR: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(300);

fn config(source: Source) -> IssuerConfig {
    IssuerConfig {
        issuer: ISSUER.to_owned(),
        audiences: vec!["istio-ca".to_owned()],
        leeway: Duration::ZERO,
        source,
        times: RefreshTimes { interval: INTERVAL, floor: FLOOR },
    }
}

fn refresher(source: Source, development: DevelopmentKeys) -> (Refresher, Keys) {
    let clock = Arc::new(ManualClock::at(UNIX_EPOCH + Duration::from_secs(1_800_000_000)));
    Refresher::new(&config(source), development, clock, Metrics::new())
}

/// Keys from a source, with their refresher at work.
struct Fresh {
    keys: Keys,
    stop: CancellationToken,
}

impl Fresh {
    fn from(source: Source) -> Self {
        let (refresher, keys) = refresher(source, DevelopmentKeys::Accepted);
        let stop = CancellationToken::new();
        #[allow(clippy::disallowed_methods, reason = "ends with the guard")]
        tokio::spawn(refresher.run(stop.clone()));
        Self { keys, stop }
    }

    fn generation(&self) -> u64 {
        self.keys.held().map_or(0, |held| held.generation)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn two_issuers() -> (DevelopmentIssuer, DevelopmentIssuer) {
    (issuer(), issuer())
}

#[tokio::test(start_paused = true)]
async fn keys_are_loaded_at_start() {
    let file = KeyFile::of(&issuer());
    let fresh = Fresh::from(Source::File(file.path()));
    assert_eq!(fresh.keys.missing().as_deref(), Some("not loaded yet"));

    tokio::time::sleep(Duration::from_millis(1)).await;

    assert_eq!(fresh.keys.missing(), None);
}

#[tokio::test]
async fn each_key_that_is_skipped_is_logged_with_its_reason_when_keys_change() {
    let good: serde_json::Value = serde_json::from_str(&issuer().jwks_json()).unwrap();
    let set = serde_json::json!({"keys": [good["keys"][0], {"kty": "oct", "k": "AA"}]});
    let skipped = Jwks::from_json(set.to_string().as_bytes()).unwrap().skipped().to_vec();
    let file = KeyFile::of(&issuer());
    file.swap(&set.to_string());
    let (mut refresher, _keys) = refresher(Source::File(file.path()), DevelopmentKeys::Accepted);
    let log = CapturedLog::begin();

    refresher.load().await.unwrap();
    refresher.load().await.unwrap();

    let lines = log.text();
    assert_eq!(skipped.len(), 1);
    assert_eq!(lines.matches("cannot be used").count(), 1, "{lines}");
    assert!(lines.contains(&skipped[0]), "{lines}");
}

#[tokio::test]
async fn a_load_that_fails_says_whether_there_are_keys_to_go_on_with() {
    let file = KeyFile::of(&issuer());
    let good = issuer().jwks_json();
    let (mut refresher, _keys) = refresher(Source::File(file.path()), DevelopmentKeys::Accepted);
    let log = CapturedLog::begin();
    for (document, says) in
        [("{", "and there are none"), (&*good, "changed"), ("{", "the last good ones stay")]
    {
        file.swap(document);
        let before = log.text().len();

        refresher.load_and_tell().await;

        let lines = log.text().split_off(before);
        assert!(lines.contains(says), "{document}: {lines}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_lasts_is_told_when_it_begins_once_a_minute_and_when_it_is_over() {
    let file = KeyFile::of(&issuer());
    let clock = Arc::new(ManualClock::at(UNIX_EPOCH + Duration::from_secs(1_800_000_000)));
    let source = config(Source::File(file.path()));
    let (mut refresher, keys) =
        Refresher::new(&source, DevelopmentKeys::Accepted, Arc::clone(&clock) as _, Metrics::new());
    refresher.load_and_tell().await;
    file.swap("{");
    let (log, began) = (CapturedLog::begin(), clock.now());
    for _second in 0..150 {
        refresher.load_and_tell().await;
        clock.advance(Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let failure = keys.failure().unwrap();
    assert_eq!(failure.since, began);
    assert_eq!(log.text().matches(&failure.reason).count(), 3, "{}", log.text());

    file.swap(&issuer().jwks_json());
    refresher.load_and_tell().await;
    refresher.load_and_tell().await;

    assert_eq!(keys.failure(), None);
    assert_eq!(log.text().matches("can be loaded again").count(), 1, "{}", log.text());
}

#[tokio::test]
async fn the_age_of_keys_is_that_of_the_last_good_load() {
    let file = KeyFile::of(&issuer());
    let clock = Arc::new(ManualClock::at(UNIX_EPOCH + Duration::from_secs(1_800_000_000)));
    let source = config(Source::File(file.path()));
    let (mut refresher, _keys) =
        Refresher::new(&source, DevelopmentKeys::Accepted, Arc::clone(&clock) as _, Metrics::new());
    let loaded = Arc::new(AtomicU64::new(0));
    refresher.loaded = Gauge::from_arc(Arc::clone(&loaded));
    let mut seen = Vec::new();
    for (document, good) in [(None, true), (None, true), (Some(""), false)] {
        clock.advance(INTERVAL);
        if let Some(document) = document {
            file.swap(document);
        }
        assert_eq!(refresher.load().await.is_ok(), good);
        seen.push(f64::from_bits(loaded.load(Ordering::Relaxed)));
    }

    assert_eq!(seen, [1_800_000_300.0, 1_800_000_600.0, 1_800_000_600.0], "the same keys again are fresh");
}

#[tokio::test(start_paused = true)]
async fn a_swapped_file_is_seen_when_its_turn_comes() {
    let (old, new) = two_issuers();
    let file = KeyFile::of(&old);
    let fresh = Fresh::from(Source::File(file.path()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fresh.generation(), 1);

    file.swap(&new.jwks_json());
    tokio::time::sleep(INTERVAL).await;

    assert_eq!(fresh.generation(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_missing_is_looked_for_at_once_but_not_before_the_floor() {
    let (old, new) = two_issuers();
    let file = KeyFile::of(&old);
    let fresh = Fresh::from(Source::File(file.path()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    file.swap(&new.jwks_json());

    fresh.keys.refresh().await.unwrap();
    assert_eq!(fresh.generation(), 1, "asked again within the floor");

    tokio::time::advance(FLOOR).await;
    fresh.keys.refresh().await.unwrap();
    assert_eq!(fresh.generation(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_same_keys_again_keep_their_generation() {
    let file = KeyFile::of(&issuer());
    let fresh = Fresh::from(Source::File(file.path()));

    tokio::time::sleep(INTERVAL * 3).await;

    assert_eq!(fresh.generation(), 1, "verified tokens would be forgotten for nothing");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_leaves_the_last_good_keys() {
    let good = issuer();
    let file = KeyFile::of(&good);
    let fresh = Fresh::from(Source::File(file.path()));
    tokio::time::sleep(Duration::from_secs(1)).await;

    for broken in ["", "{", r#"{"keys": []}"#] {
        file.swap(broken);
        tokio::time::sleep(INTERVAL).await;
        assert_eq!(fresh.generation(), 1, "{broken:?}");
        assert_eq!(fresh.keys.refresh().await, Err(KeysUnavailable::SourceFailed), "{broken:?}");
        file.swap(&good.jwks_json());
        tokio::time::sleep(FLOOR).await;
    }
    assert_eq!(fresh.keys.refresh().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn keys_that_were_never_had_are_tried_again_after_the_floor() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    let fresh = Fresh::from(Source::File(path.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(fresh.keys.missing().unwrap().contains("jwks.json"), "{:?}", fresh.keys.missing());
    assert_eq!(fresh.keys.refresh().await, Err(KeysUnavailable::SourceFailed));

    std::fs::write(path, issuer().jwks_json()).unwrap();
    tokio::time::sleep(FLOOR).await;

    assert_eq!(fresh.keys.missing(), None);
}

#[tokio::test]
async fn a_storm_of_unknown_keys_causes_one_fetch() {
    let server = HttpServer::start(&issuer().jwks_json()).await;
    let url = server.base.parse().unwrap();
    let fresh = Fresh::from(Source::Url { url, fetcher: Fetcher::default() });

    let storm = (0..1000).map(|_| fresh.keys.refresh());
    let outcomes = futures_util::future::join_all(storm).await;

    assert_eq!(server.requests().len(), 1);
    let waited = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(waited, MAX_WAITING, "the others are told to come back");
}

#[tokio::test]
async fn keys_of_a_development_issuer_are_refused_unless_they_are_asked_for() {
    let file = KeyFile::of(&issuer());
    for (development, accepted) in [(DevelopmentKeys::Refused, false), (DevelopmentKeys::Accepted, true)] {
        let (mut refresher, keys) = refresher(Source::File(file.path()), development);

        let loaded = refresher.load().await;

        assert_eq!(loaded.is_ok(), accepted, "{development:?}");
        assert_eq!(keys.held().is_some(), accepted, "{development:?}");
        if let Err(error) = loaded {
            assert!(error.to_string().contains("--development"), "{error}");
        }
    }
}
