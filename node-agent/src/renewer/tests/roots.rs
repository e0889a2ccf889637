//! Roots that come and go.

use std::time::Duration;

use crate::testing::{HOUR, World, served};

#[tokio::test(start_paused = true)]
async fn a_new_root_is_published_a_second_before_any_leaf_under_it() {
    let world = World::new();
    let one = world.lease(&world.token("one", 24 * HOUR)).unwrap();
    world.settle().await;
    let (leaf, mut bundle) = (served(&one), world.cache.roots());
    let roots = bundle.borrow_and_update().bundle.clone();
    world.ca.rotate_root();
    let two = world.lease(&world.token("two", 24 * HOUR)).unwrap();
    world.settle().await;
    assert!(bundle.has_changed().unwrap() && roots.is_some());
    assert_eq!(served(&two), None, "its root may not be everywhere yet");
    assert_eq!(served(&one), leaf);
    world.pass(Duration::from_secs(1)).await;
    assert!(served(&two).is_some());
}

#[tokio::test(start_paused = true)]
async fn svids_under_a_root_that_was_withdrawn_are_renewed_at_once() {
    let world = World::new();
    let old: Vec<_> =
        ["one", "two"].map(|account| world.lease(&world.token(account, 24 * HOUR)).unwrap()).into();
    world.settle().await;
    let before: Vec<_> = old.iter().map(served).collect();
    world.ca.rotate_root();
    world.ca.retire_old_roots();
    let _new = world.lease(&world.token("new", HOUR)).unwrap();
    world.pass(Duration::from_secs(12)).await;
    assert!(old.iter().zip(&before).all(|(lease, before)| served(lease) != *before));
    assert_eq!(world.ca.calls().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_root_that_is_withdrawn_after_its_last_leaf_makes_nobody_hurry() {
    let world = World::new();
    let token = world.token("web", 24 * HOUR);
    let lease = world.lease(&token).unwrap();
    world.settle().await;
    world.ca.rotate_root();
    world.pass(HOUR.mul_f64(0.75)).await;
    let (calls, renewed) = (world.ca.calls().len(), served(&lease));
    world.ca.retire_old_roots();
    let _new = world.lease(&world.token("new", HOUR)).unwrap();
    world.pass(Duration::from_secs(12)).await;
    assert_eq!(world.ca.calls().len(), calls + 1);
    assert_eq!(served(&lease), renewed);
}

#[tokio::test(start_paused = true)]
async fn the_same_roots_are_published_once() {
    let world = World::new();
    let _one = world.lease(&world.token("one", HOUR)).unwrap();
    world.settle().await;
    let mut bundle = world.cache.roots();
    bundle.mark_unchanged();
    let two = world.lease(&world.token("two", HOUR)).unwrap();
    world.settle().await;
    assert!(served(&two).is_some());
    assert!(!bundle.has_changed().unwrap());
}
