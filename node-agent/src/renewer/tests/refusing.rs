//! What a token that is good for nothing gets, and costs.

use std::{path::Path, sync::Arc, time::Duration};

use signet_client::{
    Reachability, Token,
    testing::{Answer, FakeCa},
};
use tonic::Code;

use super::MINUTE;
use crate::{
    peer::testing::peer_named,
    secret_cache::Credential,
    testing::{HOUR, UID, World, served},
    workload::audience::TokenAudience,
};

#[tokio::test(start_paused = true)]
async fn a_token_that_is_over_fetches_no_live_key() {
    let world = World::new();
    let token = world.token("web", MINUTE);
    let stream = world.lease(&token).unwrap();
    world.settle().await;
    world.pass(MINUTE).await;
    let withheld = world.lease(&token).unwrap_err();
    assert_eq!(withheld.why().status().code(), Code::Unauthenticated);
    assert!(served(&stream).is_some(), "the stream that was there goes on");
    assert_eq!(world.ca.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_forged_token_never_gets_the_key_of_whom_it_names() {
    let world = World::new();
    let genuine = world.lease(&world.token("web", HOUR)).unwrap();
    world.settle().await;
    let forged = world.forged_token("web");
    let lease = world.lease(&forged).unwrap();
    world.settle().await;
    assert!(served(&genuine).is_some());
    assert_eq!(served(&lease), None);
    assert_eq!(lease.now().trouble.unwrap().why().status().code(), Code::Unauthenticated);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_names_nobody_costs_the_ca_nothing_and_is_told_why() {
    let world = World::new();
    for (text, why) in [
        ("garbage", "no JWT"),
        ("a.b.c", "no JWT"),
        ("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJyb290In0.c2ln", "`sub` is no service account"),
    ] {
        let told = world.lease(&Token::new(text).unwrap()).unwrap_err().why().status();
        assert_eq!(told.code(), Code::Unauthenticated, "{text}");
        assert!(told.message().contains(why), "{text}: {told}");
    }
    world.settle().await;
    assert!(world.ca.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_token_for_somebody_else_is_shown_to_nobody_and_told_for_whom_it_should_be() {
    for (name, vault, ca, why) in [
        ("for the CA", "vault", "istio-ca", "which could replay it to the CA"),
        ("for another", "vault", "another-ca", "want one with the audience `vault`"),
    ] {
        let world = World::for_audience(TokenAudience { vault: vault.to_owned(), ca: ca.to_owned() });
        let withheld = world.lease(&world.token("web", HOUR)).unwrap_err();
        let told = withheld.why().status();
        assert_eq!(told.code(), Code::Unauthenticated, "{name}");
        assert!(told.message().contains(why), "{name}: {told}");

        let folder = tempfile::tempdir().unwrap();
        let file: Arc<Path> = folder.path().join("token").into();
        world.ca.write_token(&file, "a", "web", HOUR);
        let lease = world.cache.subscribe(&Credential::File(file), UID, peer_named("pod")).unwrap();
        world.settle().await;
        let told = lease.now().trouble.unwrap().why().status();
        assert!(told.message().contains(why), "{name}, from a file: {told}");
        assert!(world.ca.calls().is_empty(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_remembered_for_a_short_while() {
    let world = World::new();
    let forged = world.forged_token("web");
    let lease = world.lease(&forged).unwrap();
    world.settle().await;
    let first = lease.now().trouble.unwrap();
    assert_eq!(first.hold(), Some(Duration::from_secs(1)));
    drop(lease);
    for hold in [2, 4, 8] {
        assert_eq!(world.lease(&forged).unwrap_err().hold(), Some(Duration::from_secs(hold)));
    }
    world.settle().await;
    assert_eq!(world.ca.calls().len(), 1);
    world.pass(Duration::from_secs(31)).await;
    let _lease = world.lease(&forged).unwrap();
    world.settle().await;
    assert_eq!(world.ca.calls().len(), 2, "its configuration may have been mended");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stays_has_its_refused_token_shown_again_when_the_verdict_no_longer_counts() {
    let world = World::new();
    world.ca.script(Answer::Fail(FakeCa::refused_token()));
    let waits_for_roots = world.lease(&world.token("web", HOUR)).unwrap();
    world.pass(Duration::from_secs(29)).await;
    assert_eq!(world.ca.calls().len(), 1);
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(world.ca.calls().len(), 2);
    assert!(served(&waits_for_roots).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_garbage_tokens_costs_few_calls_and_others_nothing() {
    let world = World::holding_at_most(1000);
    let storm: Vec<_> =
        (0..300).map(|_| world.lease_of("storm", &world.forged_token("web")).unwrap()).collect();
    let honest = world.lease_of("honest", &world.token("web", HOUR)).unwrap();
    world.settle().await;
    assert!(served(&honest).is_some(), "served while the storm is on");
    world.pass(MINUTE).await;
    assert!(world.ca.calls().len() <= 1 + 10 + 20, "{} calls", world.ca.calls().len());
    assert!(storm.iter().all(|lease| served(lease).is_none()));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_tokens_whose_streams_are_gone_before_their_turn() {
    let world = World::holding_at_most(1000);
    world.ca.set_reachability(Reachability::Disconnected);
    world.ca.always(Answer::Hang);
    let storm: Vec<_> =
        (0..300).map(|_| world.lease_of("storm", &world.forged_token("web")).unwrap()).collect();
    world.settle().await;
    drop(storm);
    world.settle().await;
    assert!(world.cache.len() <= 1, "{} entries beside the one that is being asked for", world.cache.len());
}
