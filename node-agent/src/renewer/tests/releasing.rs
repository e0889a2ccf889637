//! When the CA is told that a token is shown no more.

use std::{path::Path, sync::Arc, time::Duration};

use signet_client::{Token, testing::Answer};

use crate::{
    peer::testing::peer_named,
    secret_cache::Credential,
    testing::{HOUR, UID, World, served},
};

#[tokio::test(start_paused = true)]
async fn a_token_is_let_go_when_its_last_stream_leaves() {
    let world = World::new();
    let token = world.token("web", HOUR);
    let [one, two] = [0, 1].map(|_| world.lease(&token).unwrap());
    world.settle().await;
    drop(one);
    world.settle().await;
    assert!(world.ca.released().is_empty(), "a stream wants it");
    drop(two);
    world.settle().await;
    assert_eq!(world.ca.released(), [token.hash()]);
    world.pass(2 * HOUR).await;
    assert_eq!(world.ca.released().len(), 1, "the entry is forgotten later, and its token was let go");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_another_user_shows_too_is_kept() {
    let world = World::new();
    let token = world.token("web", HOUR);
    let one = world.lease(&token).unwrap();
    let credential = Credential::Stream(token.clone());
    let other = world.cache.subscribe(&credential, UID + 1, peer_named("pod")).unwrap();
    world.settle().await;
    drop(one);
    world.settle().await;
    assert!(world.ca.released().is_empty());
    drop(other);
    world.settle().await;
    assert_eq!(world.ca.released(), [token.hash()]);
}

#[tokio::test(start_paused = true)]
async fn a_token_whose_stream_left_while_the_ca_was_asked_is_let_go() {
    let world = World::new();
    let token = world.token("web", 24 * HOUR);
    let lease = world.lease(&token).unwrap();
    world.settle().await;
    world.ca.script(Answer::Late(HOUR));
    world.pass(HOUR.mul_f64(0.7)).await;
    assert_eq!(world.ca.calls().len(), 2, "the renewal is under way");
    drop(lease);
    world.settle().await;
    assert!(world.ca.released().is_empty(), "the CA is at work for it");
    world.pass(HOUR).await;
    assert_eq!(world.ca.released(), [token.hash()]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_another_took_the_place_of_in_its_file_is_let_go() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let file: Arc<Path> = folder.path().join("token").into();
    world.ca.write_token(&file, "a", "web", 24 * HOUR);
    let first = Token::read(&file).unwrap();
    let lease = world.cache.subscribe(&Credential::File(Arc::clone(&file)), UID, peer_named("pod")).unwrap();
    world.settle().await;
    assert!(served(&lease).is_some() && world.ca.released().is_empty());

    world.pass(Duration::from_secs(1)).await;
    world.ca.write_token(&file, "a", "web", 24 * HOUR);
    world.pass(HOUR.mul_f64(0.7)).await;
    assert_eq!(world.ca.calls().len(), 2, "renewed by the new one");
    assert_eq!(world.ca.released(), [first.hash()]);
}
