//! A wall clock that is set, and a machine that sleeps: the wall goes on and the timers do not.

use std::{sync::Arc, time::Duration};

use signet_client::{
    Reachability,
    testing::{Answer, FakeCa},
};

use super::MINUTE;
use crate::testing::{HOUR, SetClock, World, served};

fn world() -> (Arc<SetClock>, World) {
    let clock = Arc::new(SetClock::new());
    (Arc::clone(&clock), World::on(clock, 10))
}

#[tokio::test(start_paused = true)]
async fn an_svid_that_ended_in_a_step_forward_is_not_served_for_more_than_a_minute_and_is_renewed() {
    let (clock, world) = world();
    let lease = world.lease(&world.token("web", 24 * HOUR)).unwrap();
    world.settle().await;
    world.ca.always(Answer::Fail(FakeCa::unavailable()));
    clock.forward(2 * HOUR);
    world.pass(MINUTE).await;
    assert_eq!(served(&lease), None, "it ended in the sleep");
    world.ca.always(Answer::Honest);
    world.pass(Duration::from_secs(5)).await;
    assert!(served(&lease).is_some(), "the back-off of who has nothing");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_was_slept_through_is_made_up_for_within_a_minute() {
    let (clock, world) = world();
    let lease = world.lease(&world.token("web", 24 * HOUR)).unwrap();
    world.settle().await;
    let first = served(&lease);
    clock.forward(HOUR.mul_f64(0.8));
    world.pass(MINUTE).await;
    assert!(served(&lease).is_some_and(|now| Some(now) != first));
}

#[tokio::test(start_paused = true)]
async fn a_step_back_delays_no_renewal() {
    let (clock, world) = world();
    let _lease = world.lease(&world.token("web", 48 * HOUR)).unwrap();
    world.settle().await;
    clock.back(12 * HOUR);
    world.pass(HOUR.mul_f64(0.71)).await;
    assert!(world.ca.calls().len() > 1, "the clocks of the CA and of peers were not set back");
}

#[tokio::test(start_paused = true)]
async fn a_step_back_delays_no_retry() {
    let (clock, world) = world();
    world.ca.always(Answer::Fail(FakeCa::unavailable()));
    let _lease = world.lease(&world.token("web", 24 * HOUR)).unwrap();
    world.pass(MINUTE).await;
    let before = world.ca.calls().len();
    clock.back(12 * HOUR);
    world.pass(Duration::from_secs(5)).await;
    assert!(world.ca.calls().len() > before);
}

#[tokio::test(start_paused = true)]
async fn a_step_back_delays_no_probe() {
    let (clock, world) = world();
    world.ca.set_reachability(Reachability::Disconnected);
    world.ca.always(Answer::Fail(FakeCa::disconnected()));
    let _waiting: Vec<_> =
        (0..10).map(|number| world.lease(&world.token(&format!("w{number}"), 24 * HOUR)).unwrap()).collect();
    world.pass(MINUTE).await;
    let before = world.ca.calls().len();
    clock.back(12 * HOUR);
    world.pass(MINUTE).await;
    assert!(world.ca.calls().len() - before > 10, "one in five seconds at least");
}

#[tokio::test(start_paused = true)]
async fn a_step_back_prolongs_no_refusal() {
    let (clock, world) = world();
    world.ca.always(Answer::Fail(FakeCa::refused_token()));
    let token = world.token("web", 24 * HOUR);
    drop(world.lease(&token).unwrap());
    let waits_for_roots = world.lease(&token).unwrap();
    world.settle().await;
    assert!(world.lease(&token).is_err());
    clock.back(12 * HOUR);
    world.pass(Duration::from_secs(31)).await;
    assert_eq!(world.ca.calls().len(), 2, "the renewer's memory");
    drop(waits_for_roots);
    world.pass(Duration::from_secs(31)).await;
    assert!(world.lease(&token).is_ok(), "the cache's");
}

#[tokio::test(start_paused = true)]
async fn a_step_back_holds_up_no_leaf_under_a_new_root() {
    let (clock, world) = world();
    let _one = world.lease(&world.token("one", 24 * HOUR)).unwrap();
    world.settle().await;
    world.ca.rotate_root();
    let two = world.lease(&world.token("two", 24 * HOUR)).unwrap();
    world.settle().await;
    clock.back(Duration::from_secs(30));
    let three = world.lease(&world.token("three", 24 * HOUR)).unwrap();
    world.pass(Duration::from_secs(2)).await;
    assert!(served(&two).is_some() && served(&three).is_some());
}
