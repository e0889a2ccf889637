//! Order and fairness of the queue.

use std::{path::Path, sync::LazyLock};

use proptest::prelude::*;

use super::*;
use crate::peer::testing::peer_named;

fn at(seconds: u64) -> Instant {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    *START + Duration::from_secs(seconds)
}

/// The end of a certificate.
fn end(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn turn(peer: &str, key: &str, kind: Kind) -> Turn {
    Turn { key: SecretKey::TokenFile(Path::new(key).into()), peer: peer_named(peer), kind }
}

fn name(turn: &Turn) -> String {
    match &turn.key {
        SecretKey::TokenFile(path) => path.display().to_string(),
        SecretKey::Token { .. } => unreachable!("these tests name their keys"),
    }
}

/// Hands out everything that may start now, without finishing any of it.
fn drain(queue: &mut ReadyQueue, now: Instant) -> Vec<Turn> {
    std::iter::from_fn(|| queue.pop(now)).collect()
}

#[test]
fn the_earliest_expiry_comes_first() {
    let mut queue = ReadyQueue::default();
    for (key, expiry) in [("late", 30), ("soon", 10), ("between", 20)] {
        queue.push(turn(key, key, Kind::Renewal), end(expiry));
    }
    let order: Vec<_> = drain(&mut queue, at(0)).iter().map(name).collect();
    assert_eq!(order, ["soon", "between", "late"]);
}

#[test]
fn a_proxy_with_nothing_comes_before_those_that_still_serve() {
    let mut queue = ReadyQueue::default();
    queue.push(turn("serving", "serving", Kind::Renewal), end(10));
    queue.push(turn("starting", "starting", Kind::First), end(5));
    assert_eq!(name(&queue.pop(at(5)).unwrap()), "starting");
}

#[test]
fn a_peer_that_wants_much_does_not_keep_another_from_its_one() {
    let mut queue = ReadyQueue::default();
    for number in 0..100 {
        queue.push(turn("greedy", &number.to_string(), Kind::Renewal), end(1));
    }
    queue.push(turn("modest", "one", Kind::Renewal), end(1000));
    let first_two: Vec<_> = [queue.pop(at(0)), queue.pop(at(0))].into_iter().flatten().collect();
    assert!(first_two.iter().any(|turn| name(turn) == "one"), "{first_two:?}");
}

#[test]
fn a_storm_of_refused_tokens_is_slowed_to_one_every_three_seconds() {
    let mut queue = ReadyQueue::default();
    for number in 0..1000 {
        queue.push(turn("storm", &number.to_string(), Kind::First), end(0));
    }
    let mut calls = 0;
    for second in 0..60 {
        while let Some(turn) = queue.pop(at(second)) {
            calls += 1;
            queue.finish(&turn, Verdict::Refused, at(second));
        }
    }
    assert_eq!(calls, REFUSALS_ALLOWED + 59 / 3);
}

#[test]
fn the_release_of_a_held_back_attempt_is_known_and_true() {
    let mut queue = ReadyQueue::default();
    for number in 0..20 {
        queue.push(turn("storm", &number.to_string(), Kind::First), end(0));
    }
    assert_eq!(queue.next_release(at(0)), None, "nothing is held back yet");
    for turn in drain(&mut queue, at(0)) {
        queue.finish(&turn, Verdict::Refused, at(0));
    }
    let release = queue.next_release(at(0)).unwrap();
    assert_eq!(queue.pop(release - Duration::from_millis(1)), None);
    assert!(queue.pop(release).is_some());
}

#[test]
fn no_more_first_attempts_fly_than_may_be_refused() {
    let mut queue = ReadyQueue::default();
    for number in 0..1000 {
        queue.push(turn("storm", &number.to_string(), Kind::First), end(0));
    }
    assert_eq!(drain(&mut queue, at(0)).len(), REFUSALS_ALLOWED as usize);
    assert_eq!(queue.next_release(at(0)), None, "time alone releases nothing");
}

#[test]
fn the_renewals_of_a_refused_peer_and_the_attempts_of_others_are_not_held_back() {
    let mut queue = ReadyQueue::default();
    for number in 0..20 {
        queue.push(turn("storm", &number.to_string(), Kind::First), end(0));
    }
    for turn in drain(&mut queue, at(0)) {
        queue.finish(&turn, Verdict::Refused, at(0));
    }
    queue.push(turn("storm", "renewal", Kind::Renewal), end(100));
    queue.push(turn("other", "other", Kind::First), end(0));
    let mut order: Vec<_> = drain(&mut queue, at(0)).iter().map(name).collect();
    order.sort();
    assert_eq!(order, ["other", "renewal"]);
}

#[test]
fn an_attempt_that_was_taken_back_does_not_start() {
    let mut queue = ReadyQueue::default();
    for key in ["stays", "goes"] {
        queue.push(turn("peer", key, Kind::First), end(0));
    }
    queue.forget(&turn("peer", "goes", Kind::First));
    assert_eq!(drain(&mut queue, at(0)).iter().map(name).collect::<Vec<_>>(), ["stays"]);
}

#[test]
fn a_peer_is_forgotten_once_it_owes_nothing() {
    let mut queue = ReadyQueue::default();
    queue.push(turn("peer", "key", Kind::First), end(0));
    let turn = queue.pop(at(0)).unwrap();
    queue.finish(&turn, Verdict::Refused, at(0));
    assert_eq!(queue.peers.len(), 1, "its refusal is remembered");
    queue.finish(&turn, Verdict::NotRefused, at(4));
    assert!(queue.peers.is_empty());
}

proptest! {
    /// Whatever goes in comes out, once; and whenever one is taken, no waiting peer has fewer in flight.
    #[test]
    fn nothing_is_lost_and_the_least_served_peer_comes_first(
        wishes in proptest::collection::vec((0..5u8, 0..1000u64), 0..100),
    ) {
        let mut queue = ReadyQueue::default();
        for (number, (peer, urgency)) in wishes.iter().enumerate() {
            queue.push(turn(&peer.to_string(), &number.to_string(), Kind::Renewal), end(*urgency));
        }
        let mut waiting: Vec<_> = wishes.iter().map(|(peer, _)| peer_named(&peer.to_string())).collect();
        let mut flying: HashMap<PeerKey, usize> = HashMap::new();
        while let Some(turn) = queue.pop(at(0)) {
            let fewest = waiting.iter().map(|peer| flying.get(peer).copied().unwrap_or(0)).min();
            prop_assert_eq!(Some(flying.get(&turn.peer).copied().unwrap_or(0)), fewest);
            let place = waiting.iter().position(|peer| *peer == turn.peer).unwrap();
            waiting.swap_remove(place);
            *flying.entry(turn.peer).or_default() += 1;
        }
        prop_assert!(waiting.is_empty());
    }
}
