//! The renewer before a CA in memory: which calls are made, in which order, and what is served meanwhile.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use signet_client::{
    Reachability, Token,
    testing::{Answer, FakeCa, Forgery},
};
use signet_identity::ManualClock;
use tonic::Code;

use super::recalls::MOST_AWAY;
use crate::{
    peer::testing::peer_named,
    secret_cache::{Credential, Lease},
    testing::{HOUR, UID, World, served, state_when},
};

const MINUTE: Duration = Duration::from_secs(60);

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
async fn a_token_that_names_nobody_costs_the_ca_nothing() {
    let world = World::new();
    for text in ["garbage", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0."] {
        let withheld = world.lease(&Token::new(text).unwrap()).unwrap_err();
        assert_eq!(withheld.why().status().code(), Code::Unauthenticated, "{text}");
        assert!(withheld.why().status().message().contains("system:serviceaccount"), "{text}");
    }
    world.settle().await;
    assert!(world.ca.calls().is_empty());
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
async fn whatever_the_ca_answers_the_old_svid_serves_to_its_end() {
    for (name, answer, says) in [
        ("a wrong key", Answer::Forge(Forgery::WrongKey), "does not verify"),
        ("a wrong SAN", Answer::Forge(Forgery::WrongIdentity), "does not verify"),
        ("expired", Answer::Forge(Forgery::Expired), "does not verify"),
        ("an unknown root", Answer::Forge(Forgery::UnknownRoot), "does not verify"),
        ("silence", Answer::Hang, "did not answer within"),
        ("UNAVAILABLE", Answer::Fail(FakeCa::unavailable()), "asked again by itself"),
        ("RESOURCE_EXHAUSTED", Answer::Fail(FakeCa::overloaded(MINUTE)), "asked again by itself"),
    ] {
        let world = World::new();
        let token = world.token("web", 24 * HOUR);
        let lease = world.lease(&token).unwrap();
        world.settle().await;
        let first = served(&lease);
        world.ca.always(answer);
        world.pass(HOUR.mul_f64(0.8)).await;
        assert_eq!(served(&lease), first, "{name}");
        let trouble = lease.now().trouble.unwrap();
        assert!(trouble.why().in_full().contains(says), "{name}: {}", trouble.why().in_full());
        world.pass(HOUR.mul_f64(0.22)).await;
        assert_eq!(served(&lease), None, "{name}: it is over and is not served");
        world.ca.always(Answer::Honest);
        world.pass(MINUTE * 2).await;
        assert!(served(&lease).is_some(), "{name}: mended");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_verify_is_never_served_to_a_new_workload() {
    for forgery in [Forgery::WrongKey, Forgery::WrongIdentity, Forgery::Expired, Forgery::UnknownRoot] {
        let world = World::new();
        world.ca.always(Answer::Forge(forgery));
        let lease = world.lease(&world.token("web", HOUR)).unwrap();
        world.pass(MINUTE).await;
        let state = lease.now();
        assert!(state.secret.is_none(), "{forgery:?}");
        assert!(world.cache.bundle().borrow().is_none(), "{forgery:?}: its roots are not believed either");
        let trouble = state.trouble.unwrap();
        assert_eq!(trouble.why().status().code(), Code::Unavailable, "{forgery:?}");
        assert!(trouble.hold().is_some(), "{forgery:?}: the proxy is told");
    }
}

#[tokio::test(start_paused = true)]
async fn an_absent_ca_is_waited_for_and_its_return_wakes_all() {
    let world = World::new();
    world.ca.set_reachability(Reachability::Disconnected);
    world.ca.always(Answer::Fail(FakeCa::unavailable()));
    let leases: Vec<_> = (0..50)
        .map(|number| world.lease_of(&number.to_string(), &world.token(&format!("w{number}"), HOUR)).unwrap())
        .collect();
    world.pass(MINUTE).await;
    assert!(leases.iter().all(|lease| lease.now().trouble.is_none_or(|trouble| trouble.hold().is_none())));
    assert!(world.ca.calls().len() < 100, "{} calls into a dead line", world.ca.calls().len());
    world.ca.always(Answer::Honest);
    world.ca.set_reachability(Reachability::Reachable);
    world.settle().await;
    assert!(leases.iter().all(|lease| served(lease).is_some()), "without any more waiting");
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_the_earliest_expiry_comes_first_and_no_more_than_16_fly() {
    let world = World::new();
    let mut leases = Vec::new();
    for number in 0..40 {
        let token = world.token(&format!("w{number}"), 24 * HOUR);
        leases.push(world.lease_of(&number.to_string(), &token).unwrap());
        world.pass(Duration::from_secs(1)).await;
    }
    world.ca.set_reachability(Reachability::Disconnected);
    world.ca.always(Answer::Fail(FakeCa::unavailable()));
    world.pass(HOUR.mul_f64(0.75)).await;
    let before = world.ca.calls().len();
    world.ca.always(Answer::Late(Duration::from_secs(1)));
    world.ca.set_reachability(Reachability::Reachable);
    world.settle().await;
    assert_eq!(world.ca.calls().len() - before, 16);
    world.pass(Duration::from_secs(3)).await;
    assert!(leases.iter().all(|lease| lease.now().trouble.is_none()), "all are renewed");
    let order: Vec<_> = world.ca.calls().into_iter().skip(before).map(|call| call.identity).collect();
    let by_expiry: Vec<_> = (0..40).map(|number| format!("spiffe://td.test/ns/a/sa/w{number}")).collect();
    assert_eq!(order, by_expiry);
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_is_connected_and_silent_is_found_again_by_a_single_probe() {
    let world = World::new();
    world.ca.set_reachability(Reachability::Failing);
    world.ca.always(Answer::Hang);
    let leases: Vec<_> = (0..20)
        .map(|number| world.lease_of(&number.to_string(), &world.token(&format!("w{number}"), HOUR)).unwrap())
        .collect();
    world.pass(MINUTE).await;
    assert!(world.ca.calls().len() <= 13, "one at a time, 5 s each: {}", world.ca.calls().len());
    world.ca.always(Answer::Honest);
    world.pass(Duration::from_secs(11)).await;
    assert!(world.ca.calls().len() > 1);
    world.ca.set_reachability(Reachability::Reachable);
    world.settle().await;
    assert!(leases.iter().all(|lease| served(lease).is_some()));
}

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
    let refusal = signet_client::Refusal {
        code: Code::Unauthenticated,
        message: "keys were rotated".to_owned(),
        request_id: None,
        retry_after: None,
    };
    world.ca.always(Answer::Fail(signet_client::CaError::TokenRefused(refusal)));
    world.pass(HOUR.mul_f64(0.75)).await;
    assert!(lease.is_recalled(&lease.now()));
    assert!(served(&lease).is_some());
    world.pass(HOUR / 10).await;
    let later = world.lease(&token).unwrap();
    assert!(!later.is_recalled(&later.now()), "what was asked of others does not concern it");
    assert!(served(&later).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_token_file_is_read_for_each_attempt_and_its_streams_are_never_recalled() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let path: Arc<Path> = folder.path().join("token").into();
    let lease = world.cache.subscribe(&Credential::File(path.clone()), UID, peer_named("pod")).unwrap();
    world.pass(MINUTE).await;
    let trouble = lease.now().trouble.unwrap();
    assert!(trouble.why().in_full().contains("cannot read the token file"), "{}", trouble.why().in_full());
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
    assert_eq!(recalled(&[lease]), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_new_root_is_published_a_second_before_any_leaf_under_it() {
    let world = World::new();
    let one = world.lease(&world.token("one", 24 * HOUR)).unwrap();
    world.settle().await;
    let (leaf, mut bundle) = (served(&one), world.cache.bundle());
    let roots = bundle.borrow_and_update().clone();
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
async fn a_machine_that_slept_finds_out_within_a_minute() {
    let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH + 1_000_000 * MINUTE));
    let world = World::on(clock.clone(), 10);
    let lease = world.lease(&world.token("web", 24 * HOUR)).unwrap();
    world.settle().await;
    world.ca.always(Answer::Fail(FakeCa::unavailable()));
    clock.advance(2 * HOUR);
    world.pass(MINUTE).await;
    assert_eq!(served(&lease), None, "it ended in the sleep");
    world.ca.always(Answer::Honest);
    // Back-off is by the wall as well, and is looked at as often.
    clock.advance(MINUTE);
    world.pass(MINUTE).await;
    assert!(served(&lease).is_some());
}

#[tokio::test(start_paused = true)]
async fn the_same_roots_are_published_once() {
    let world = World::new();
    let _one = world.lease(&world.token("one", HOUR)).unwrap();
    world.settle().await;
    let mut bundle = world.cache.bundle();
    bundle.mark_unchanged();
    let two = world.lease(&world.token("two", HOUR)).unwrap();
    world.settle().await;
    assert!(served(&two).is_some());
    assert!(!bundle.has_changed().unwrap());
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

#[tokio::test(start_paused = true)]
async fn an_overloaded_ca_is_left_alone_as_long_as_it_asks() {
    let world = World::new();
    world.ca.always(Answer::Fail(FakeCa::overloaded(Duration::from_secs(20))));
    let lease = world.lease(&world.token("web", HOUR)).unwrap();
    world.pass(Duration::from_secs(19)).await;
    assert_eq!(world.ca.calls().len(), 1);
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(world.ca.calls().len(), 2);
    assert_eq!(lease.now().trouble.unwrap().hold(), None);
}
