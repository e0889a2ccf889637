//! Streams whose token can no longer renew.

use std::time::Duration;

use signet_client::{
    Reachability,
    testing::{Answer, FakeCa},
};
use signet_runtime::testing::CapturedLog;

use super::MINUTE;
use crate::{
    renewer::recalls::{MOST_AWAY, MOST_AWAY_OF_A_PEER},
    secret_cache::Lease,
    testing::{HOUR, World, served},
};

/// Forty workloads whose tokens are over before their SVIDs want renewal.
async fn forty_with_short_tokens(world: &World) -> Vec<Lease> {
    let mut leases = Vec::new();
    for number in 0..40 {
        let token = world.token(&format!("w{number}"), MINUTE);
        leases.push(world.lease_of(&number.to_string(), &token).unwrap());
        world.pass(Duration::from_secs(1)).await;
    }
    leases
}

fn recalled(leases: &[Lease]) -> Vec<usize> {
    let is_recalled = |lease: &Lease| lease.is_recalled(&lease.now());
    leases.iter().enumerate().filter(|(_, lease)| is_recalled(lease)).map(|(number, _)| number).collect()
}

#[tokio::test(start_paused = true)]
async fn streams_whose_token_is_over_are_recalled_sixteen_at_a_time_the_earliest_expiry_first() {
    let world = World::new();
    let leases = forty_with_short_tokens(&world).await;
    world.ca.set_reachability(Reachability::Disconnected);
    world.pass(HOUR.mul_f64(0.75)).await;
    assert_eq!(recalled(&leases), [0; 0], "nobody is sent away while the CA is not there");
    assert_eq!(world.ca.calls().len(), 40, "and a token that is over is not shown to it");
    world.ca.set_reachability(Reachability::Reachable);
    world.settle().await;
    assert_eq!(recalled(&leases), (0..MOST_AWAY).collect::<Vec<_>>());
    let _back = world.lease_of("3", &world.token("w3", HOUR)).unwrap();
    world.settle().await;
    assert_eq!(recalled(&leases).last(), Some(&MOST_AWAY), "one returned, one more goes");
    assert!(leases.iter().all(|lease| served(lease).is_some()), "all of them serve meanwhile");
}

#[tokio::test(start_paused = true)]
async fn a_pod_with_many_dead_tokens_does_not_delay_anothers_recall() {
    let world = World::new();
    let many: Vec<_> = (0..40)
        .map(|number| world.lease_of("greedy", &world.token(&format!("g{number}"), MINUTE)).unwrap())
        .collect();
    world.pass(Duration::from_secs(1)).await;
    let one = world.lease_of("modest", &world.token("modest", MINUTE)).unwrap();
    world.settle().await;
    world.ca.set_reachability(Reachability::Disconnected);
    world.pass(HOUR.mul_f64(0.75)).await;
    world.ca.set_reachability(Reachability::Reachable);
    world.settle().await;
    assert!(one.is_recalled(&one.now()), "although its SVID is the last to end");
    assert_eq!(recalled(&many).len(), MOST_AWAY_OF_A_PEER);
    world.pass(Duration::from_secs(10)).await;
    assert_eq!(recalled(&many).len(), 2 * MOST_AWAY_OF_A_PEER, "the next when the first are given up");
}

#[tokio::test(start_paused = true)]
async fn a_silent_ca_is_probed_with_a_dead_token_when_there_is_no_other() {
    let world = World::new();
    let leases = forty_with_short_tokens(&world).await;
    world.ca.set_reachability(Reachability::Failing);
    world.pass(HOUR.mul_f64(0.6)).await;
    assert!(world.ca.calls().len() > 40, "else nobody would learn that it is back");
    assert_eq!(recalled(&leases), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_returns_with_the_same_dead_token_is_held_longer_each_time() {
    let world = World::new();
    let token = world.token("web", MINUTE);
    let lease = world.lease(&token).unwrap();
    world.pass(HOUR.mul_f64(0.75)).await;
    assert!(lease.is_recalled(&lease.now()));
    drop(lease);
    world.settle().await;
    assert_eq!(world.cache.len(), 0, "the key is gone");
    let holds: Vec<_> = (0..7).map(|_| world.lease(&token).unwrap_err().hold().unwrap().as_secs()).collect();
    assert_eq!(holds, [1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(world.ca.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_live_token_that_the_ca_refuses_at_renewal_is_recalled_too() {
    let world = World::new();
    let token = world.token("web", 24 * HOUR);
    let lease = world.lease(&token).unwrap();
    world.settle().await;
    world.ca.always(Answer::Fail(FakeCa::refused_token()));
    world.pass(HOUR.mul_f64(0.75)).await;
    assert!(lease.is_recalled(&lease.now()));
    assert!(served(&lease).is_some());
    world.pass(HOUR / 10).await;
    let later = world.lease(&token).unwrap();
    assert!(!later.is_recalled(&later.now()), "what was asked of others does not concern it");
    assert!(served(&later).is_some());
}

/// What the log has of an SVID that ended without a successor.
fn endings(log: &CapturedLog) -> usize {
    let tells = |line: &&str| line.contains("WARN") && line.contains("no successor at its end");
    log.text().lines().filter(tells).count()
}

#[tokio::test(start_paused = true)]
async fn a_certificate_whose_proxy_returns_with_a_dead_token_dies_with_one_line() {
    let (log, world) = (CapturedLog::begin(), World::new());
    let token = world.token("web", MINUTE);
    let lease = world.lease(&token).unwrap();
    world.pass(HOUR.mul_f64(0.75)).await;
    assert!(lease.is_recalled(&lease.now()));
    drop(lease);
    world.lease(&token).unwrap_err();
    assert_eq!(endings(&log), 0, "the proxy has it still");
    world.pass(HOUR).await;
    assert_eq!(endings(&log), 1, "{}", log.text());
    assert!(log.text().contains("spiffe_id=spiffe://td.test/ns/a/sa/web"), "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_dead_when_its_refused_stream_is_gone_dies_with_one_line() {
    let (log, world) = (CapturedLog::begin(), World::new());
    let lease = world.lease(&world.token("web", 24 * HOUR)).unwrap();
    world.settle().await;
    world.ca.always(Answer::Fail(FakeCa::refused_token()));
    world.pass(HOUR.mul_f64(0.75)).await;
    drop(lease);
    world.pass(HOUR).await;
    assert_eq!(endings(&log), 1, "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn neither_a_renewed_certificate_nor_that_of_a_workload_that_left_is_missed() {
    for (name, short, successor) in [("renewed", true, true), ("left by itself", false, false)] {
        let (log, world) = (CapturedLog::begin(), World::new());
        let lifetime = if short { MINUTE } else { 24 * HOUR };
        let lease = world.lease(&world.token("web", lifetime)).unwrap();
        world.pass(HOUR.mul_f64(0.75)).await;
        drop(lease);
        world.settle().await;
        let _fresh = successor.then(|| world.lease(&world.token("web", 24 * HOUR)).unwrap());
        world.pass(2 * HOUR).await;
        assert_eq!(endings(&log), 0, "{name}: {}", log.text());
    }
}
