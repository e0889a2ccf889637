//! Roots that come without a leaf.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use signet_client::{
    Reachability,
    testing::{Answer, BundleAnswer, FakeCa, Standing},
};
use signet_identity::TrustBundle;
use signet_runtime::testing::CapturedLog;

use super::MINUTE;
use crate::{
    sds::PublishedSecret,
    secret_cache::RootsCome,
    testing::{HOUR, World, served},
};

/// The latest that the CA is asked after it was.
const A_MINUTE_OR_SO: Duration = Duration::from_secs(66);

impl World {
    fn holds(&self, bundle: &TrustBundle) -> bool {
        // Proxies see them in one order, however the CA sent them.
        let mut authorities = bundle.authorities().to_vec();
        authorities.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
        let bundle = TrustBundle::new(bundle.trust_domain().clone(), authorities, None).unwrap();
        let wanted = PublishedSecret::validation_context(&bundle);
        self.cache.roots().borrow().bundle.as_ref().is_some_and(|held| held.version() == wanted.version())
    }

    /// As when the connection comes to its age.
    async fn connect_anew(&self) {
        self.ca.set_reachability(Reachability::Reachable);
        self.settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_nobody_asks_for_a_leaf_knows_the_roots_and_each_new_one_within_a_minute() {
    let world = World::new();
    world.settle().await;
    assert!(world.holds(&world.ca.bundle()));
    for rotation in 1..=10 {
        world.ca.rotate_root();
        world.pass(A_MINUTE_OR_SO).await;
        assert!(world.holds(&world.ca.bundle()), "rotation {rotation}");
    }
    assert!(
        (11..=14).contains(&world.ca.bundle_calls()),
        "{} questions in 11 minutes",
        world.ca.bundle_calls()
    );
    assert_eq!(world.ca.calls().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_new_connection_is_asked_at_once_and_woken_entries_are_not_told_of_it() {
    let (log, world) = (CapturedLog::begin(), World::new());
    world.settle().await;
    world.ca.rotate_root();
    world.connect_anew().await;
    assert!(world.holds(&world.ca.bundle()));
    assert_eq!(world.ca.bundle_calls(), 2);
    assert_eq!(log.text().matches("the CA can be had").count(), 1, "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_tells_its_next_root_beforehand_makes_no_leaf_wait_and_one_that_does_not_does() {
    for (name, beforehand) in [("told a second before", true), ("told at the same time", false)] {
        let world = World::new();
        world.settle().await;
        world.ca.change(|standing| standing.prepare_root(world.now()));
        if beforehand {
            world.connect_anew().await;
            world.pass(Duration::from_secs(1)).await;
        }
        world.ca.change(Standing::activate_root);
        world.connect_anew().await;
        let lease = world.lease(&world.token("web", HOUR)).unwrap();
        world.settle().await;
        assert_eq!(served(&lease).is_some(), beforehand, "{name}");
        world.pass(Duration::from_secs(1)).await;
        assert!(served(&lease).is_some(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_behind_changes_nothing() {
    let world = World::new();
    let behind = world.ca.standing();
    world.ca.rotate_root();
    world.settle().await;
    let newest = world.ca.bundle();
    world.ca.change(|standing| *standing = behind);
    world.connect_anew().await;
    assert!(world.holds(&newest));
}

#[tokio::test(start_paused = true)]
async fn roots_of_a_ca_that_does_not_count_them_are_united() {
    let world = World::new();
    world.ca.send_no_version();
    let _lease = world.lease(&world.token("web", 24 * HOUR)).unwrap();
    world.settle().await;
    world.ca.rotate_root();
    let both = world.ca.bundle();
    world.ca.retire_old_roots();
    world.connect_anew().await;
    assert!(world.holds(&both));
}

#[tokio::test(start_paused = true)]
async fn svids_under_a_root_that_a_poll_finds_withdrawn_are_renewed_at_once() {
    let world = World::new();
    let lease = world.lease(&world.token("web", 24 * HOUR)).unwrap();
    world.settle().await;
    let before = served(&lease);
    world.ca.change(|standing| standing.remake(world.now()));
    world.connect_anew().await;
    world.pass(Duration::from_secs(12)).await;
    assert!(served(&lease) != before && world.ca.calls().len() == 2);
}

#[tokio::test(start_paused = true)]
async fn a_leaf_whose_root_is_withdrawn_while_it_waits_is_never_served() {
    let world = World::new();
    let _first = world.lease(&world.token("first", HOUR)).unwrap();
    world.settle().await;
    world.ca.rotate_root();
    let lease = world.lease(&world.token("web", HOUR)).unwrap();
    world.settle().await;
    assert_eq!(served(&lease), None, "its root has a second to travel");
    world.ca.change(|standing| standing.remake(world.now()));
    world.ca.always(Answer::Fail(FakeCa::unavailable()));
    world.connect_anew().await;
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(served(&lease), None);
    let told = lease.now().trouble.unwrap().why().status();
    world.ca.always(Answer::Honest);
    world.pass(MINUTE).await;
    assert!(served(&lease).is_some(), "after {told}");
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_does_not_offer_it_is_asked_again_rarely_and_after_each_connection() {
    let world = World::before_another_ca();
    world.pass(20 * MINUTE).await;
    assert_eq!(world.ca.bundle_calls(), 1);
    world.pass(20 * MINUTE).await;
    assert_eq!(world.ca.bundle_calls(), 2);
    world.ca.tell_bundle(BundleAnswer::Told);
    world.connect_anew().await;
    assert!(world.holds(&world.ca.bundle()), "an upgrade");
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_does_not_tell_its_roots_issues_all_the_same_and_one_line_and_a_metric_tell_it() {
    for (name, answer) in [
        ("failing", BundleAnswer::Fail(FakeCa::unavailable())),
        ("silent", BundleAnswer::Hang),
        ("a bug of ours", BundleAnswer::Panic),
    ] {
        let (log, recorder) = (CapturedLog::begin(), PrometheusBuilder::new().build_recorder());
        let _counting = metrics::set_default_local_recorder(&recorder);
        let world = World::new();
        world.ca.tell_bundle(answer);
        let lease = world.lease(&world.token("web", HOUR)).unwrap();
        world.pass(10 * MINUTE).await;
        assert!(served(&lease).is_some(), "{name}");
        assert_eq!(log.text().matches("the CA does not tell its roots").count(), 1, "{name}: {}", log.text());
        assert!(!log.text().contains("the CA cannot be had"), "{name}: {}", log.text());
        let shown = recorder.handle().render();
        assert!(shown.contains("signet_agent_bundle_polls_total{outcome=\"failed\"}"), "{name}: {shown}");
        assert!(shown.contains("signet_agent_ca_reachable 1"), "{name}: {shown}");

        world.ca.tell_bundle(BundleAnswer::Told);
        world.pass(MINUTE).await;
        world.ca.rotate_root();
        world.pass(A_MINUTE_OR_SO).await;
        assert!(world.holds(&world.ca.bundle()), "{name}");
        assert_eq!(log.text().matches("the CA tells its roots again").count(), 1, "{name}: {}", log.text());
        let shown = recorder.handle().render();
        assert!(shown.contains("signet_agent_bundle_polls_total{outcome=\"told\"}"), "{name}: {shown}");
        assert!(shown.contains("signet_agent_bundle_sequence 2\n"), "{name}: {shown}");
        assert!(shown.contains("signet_agent_bundle_roots 2\n"), "{name}: {shown}");
        let told = format!(
            "signet_agent_bundle_told_timestamp_seconds {}",
            world.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 1000
        );
        assert!(shown.contains(&told), "{name}: {shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_roots_learns_whether_they_come_alone() {
    let world = World::new();
    world.ca.tell_bundle(BundleAnswer::NotOffered);
    for (name, answer, come) in [
        ("not offered", BundleAnswer::NotOffered, RootsCome::WithSvids),
        ("overloaded", BundleAnswer::Fail(FakeCa::overloaded(Duration::ZERO)), RootsCome::WithSvids),
        ("told", BundleAnswer::Told, RootsCome::Alone),
        ("nobody there", BundleAnswer::Fail(FakeCa::disconnected()), RootsCome::Alone),
        ("answered, and not told", BundleAnswer::Fail(FakeCa::unavailable()), RootsCome::WithSvids),
    ] {
        world.ca.tell_bundle(answer);
        world.connect_anew().await;
        assert_eq!(world.cache.roots().borrow().come, come, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_fails_is_left_alone_as_long_as_it_wants_and_longer_where_roots_are_held() {
    let half_a_minute = Duration::from_secs(30);
    for (name, holds_roots, overloaded, questions) in [
        ("with nothing, for 5 s at most", false, half_a_minute, 12..=15),
        ("with roots, for half a minute", true, half_a_minute, 2..=3),
    ] {
        let world = World::new();
        if holds_roots {
            world.settle().await;
        }
        world.ca.tell_bundle(BundleAnswer::Fail(FakeCa::overloaded(overloaded)));
        world.connect_anew().await;
        let before = world.ca.bundle_calls();
        world.pass(Duration::from_secs(64)).await;
        let asked = world.ca.bundle_calls() - before;
        assert!(questions.contains(&asked), "{name}: {asked} questions");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_for_roots_while_there_is_no_connection() {
    let world = World::new();
    world.ca.set_reachability(Reachability::Disconnected);
    world.pass(HOUR).await;
    assert_eq!(world.ca.bundle_calls(), 0);
    world.connect_anew().await;
    assert_eq!(world.ca.bundle_calls(), 1);
}
