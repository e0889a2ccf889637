//! When an SVID is asked for, and for how long it is kept.

use std::{path::Path, sync::Arc, time::Duration};

use tonic::Code;

use super::MINUTE;
use crate::{
    peer::testing::peer_named,
    secret_cache::Credential,
    testing::{HOUR, UID, World, served, state_when},
};

#[tokio::test(start_paused = true)]
async fn a_new_workload_gets_an_svid_by_one_call() {
    let world = World::new();
    let lease = world.lease(&world.token("web", HOUR)).unwrap();
    let state = state_when(&lease, |state| state.secret.is_some()).await;
    assert_eq!(state.identity.unwrap().as_str(), "spiffe://td.test/ns/a/sa/web");
    let calls = world.ca.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].identity, "spiffe://td.test/ns/a/sa/web");
    assert_eq!(calls[0].lifetime, Some(HOUR));
}

#[tokio::test(start_paused = true)]
async fn streams_with_one_token_share_one_svid_and_another_uid_gets_its_own() {
    let world = World::new();
    let token = world.token("web", HOUR);
    let [one, two] = [0, 1].map(|_| world.lease(&token).unwrap());
    let other = world.cache.subscribe(&Credential::Stream(token), UID + 1, peer_named("pod")).unwrap();
    world.settle().await;
    assert!(served(&one).is_some());
    assert_eq!(served(&one), served(&two));
    assert_ne!(served(&one), served(&other));
    assert_eq!(world.ca.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_svid_is_renewed_between_0_4_and_0_7_of_its_life() {
    let world = World::new();
    let lease = world.lease(&world.token("web", 24 * HOUR)).unwrap();
    world.settle().await;
    let first = served(&lease);
    world.pass(HOUR.mul_f64(0.39)).await;
    assert_eq!(world.ca.calls().len(), 1);
    world.pass(HOUR.mul_f64(0.32)).await;
    assert_eq!(world.ca.calls().len(), 2);
    assert!(served(&lease).is_some_and(|now| Some(now) != first));
}

#[tokio::test(start_paused = true)]
async fn only_what_a_stream_wants_is_renewed_and_the_rest_is_dropped_when_its_token_ends() {
    let world = World::new();
    let token = world.token("web", 2 * HOUR);
    drop(world.lease(&token).unwrap());
    let lease = world.lease(&token).unwrap();
    world.settle().await;
    drop(lease);
    world.pass(HOUR / 2).await;
    assert_eq!(world.cache.len(), 1);
    assert!(served(&world.lease(&token).unwrap()).is_some(), "a proxy that returns is served at once");
    world.pass(HOUR * 2).await;
    assert_eq!(world.ca.calls().len(), 1, "nobody wanted a renewal");
    assert_eq!(world.cache.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_file_is_read_for_each_attempt_and_its_streams_are_never_recalled() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let path: Arc<Path> = folder.path().join("token").into();
    let lease = world.cache.subscribe(&Credential::File(path.clone()), UID, peer_named("pod")).unwrap();
    world.pass(MINUTE).await;
    let trouble = lease.now().trouble.unwrap();
    let told = trouble.why().status();
    assert!(told.message().contains("cannot read the token file"), "{told}");
    assert_eq!(trouble.hold(), None, "the stream waits for the file");
    world.ca.write_token(&path, "a", "web", MINUTE);
    world.pass(Duration::from_secs(6)).await;
    assert_eq!(lease.now().identity.unwrap().as_str(), "spiffe://td.test/ns/a/sa/web");
    for _ in 0..90 {
        world.pass(MINUTE / 2).await;
        world.ca.write_token(&path, "a", "web", MINUTE);
    }
    let tokens: Vec<_> = world.ca.calls().iter().map(|call| call.token).collect();
    assert_eq!(tokens.len(), 2);
    assert_ne!(tokens[0], tokens[1]);
    assert!(!lease.is_recalled(&lease.now()));
}

#[tokio::test(start_paused = true)]
async fn a_full_cache_forgets_who_left_and_refuses_more_than_it_holds() {
    let world = World::holding_at_most(2);
    let left = world.lease(&world.token("left", HOUR)).unwrap();
    let _stays = world.lease(&world.token("stays", HOUR)).unwrap();
    world.settle().await;
    let full = world.lease(&world.token("third", HOUR)).unwrap_err();
    assert_eq!(full.why().status().code(), Code::ResourceExhausted);
    drop(left);
    let third = world.lease(&world.token("third", HOUR)).unwrap();
    world.settle().await;
    assert!(served(&third).is_some());
    assert_eq!(world.cache.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_made_room_and_was_made_anew_works() {
    let world = World::holding_at_most(1);
    let token = world.token("web", HOUR);
    for token in [&token, &world.token("other", HOUR)] {
        let lease = world.lease(token).unwrap();
        world.settle().await;
        assert!(served(&lease).is_some());
        drop(lease);
        world.settle().await;
    }
    let lease = world.lease(&token).unwrap();
    world.settle().await;
    assert!(served(&lease).is_some());
}
