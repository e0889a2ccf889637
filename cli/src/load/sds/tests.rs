//! What a load of streams says it has seen.

use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Status};

use super::share;
use super::tally::{Arrival, News, Novelty, Rollout, Tally};

/// Streams and what they get, second by second.
struct Load {
    tally: Tally,
    start: Instant,
}

impl Load {
    /// Of groups with so many streams each.
    fn of(groups: &[usize]) -> Self {
        Self { tally: Tally::new(groups.iter().copied()).unwrap(), start: Instant::now() }
    }

    /// All streams of the one group have `version`.
    fn holding(streams: usize, version: &str) -> Self {
        let mut load = Self::of(&[streams]);
        (0..streams).for_each(|_| load.gets(0, version, 0, Novelty::First(Duration::ZERO)));
        load
    }

    fn at(&self, second: u64) -> Instant {
        self.start + Duration::from_secs(second)
    }

    fn gets(&mut self, group: usize, version: &str, second: u64, novelty: Novelty) {
        let arrival = Arrival { version: version.into(), at: self.at(second), novelty };
        self.tally.arrived(group, arrival);
    }

    fn is_pushed(&mut self, group: usize, version: &str, second: u64) {
        self.gets(group, version, second, Novelty::Changed);
    }

    fn ends(&mut self, version: Option<&str>, code: Code, message: &str) {
        self.tally.ended(0, version, &Status::new(code, message));
    }

    /// Versions of the rollouts that are complete, with their first and last second.
    fn rollouts(&mut self) -> Vec<(String, u64, u64)> {
        let second = |moment: Instant| moment.duration_since(self.start).as_secs();
        let told = |Rollout { version, first, last, .. }: Rollout| {
            (version.to_string(), second(first), second(last))
        };
        std::iter::from_fn(|| self.tally.next_rollout()).map(told).collect()
    }
}

#[test]
fn a_push_is_complete_when_it_has_reached_the_last_stream() {
    let mut load = Load::holding(3, "old");
    load.is_pushed(0, "new", 5);
    load.is_pushed(0, "new", 6);
    assert_eq!(load.rollouts(), []);
    load.is_pushed(0, "new", 8);
    assert_eq!(load.rollouts(), [("new".to_owned(), 5, 8)]);
    assert_eq!(load.rollouts(), [], "each is told once");
    assert_eq!(load.tally.pushes(), 3);
}

#[test]
fn what_answers_a_streams_first_request_is_no_push() {
    let mut load = Load::of(&[2]);
    load.gets(0, "old", 1, Novelty::First(Duration::from_secs(1)));
    load.is_pushed(0, "new", 2);
    load.gets(0, "new", 3, Novelty::First(Duration::from_secs(3)));
    assert_eq!(load.rollouts(), []);
    assert_eq!(load.tally.waited().count(), 2);
    assert_eq!(load.tally.pushes(), 1);
}

#[test]
fn each_group_has_pushes_of_its_own() {
    let mut load = Load::of(&[1, 1]);
    for group in [0, 1] {
        load.gets(group, "old", 0, Novelty::First(Duration::ZERO));
    }
    load.is_pushed(1, "new", 4);
    assert_eq!(load.rollouts(), [("new".to_owned(), 4, 4)]);
}

#[test]
fn a_stream_that_is_behind_does_not_undo_a_newer_push() {
    let mut load = Load::holding(2, "1");
    load.is_pushed(0, "2", 1);
    load.is_pushed(0, "3", 2);
    load.is_pushed(0, "2", 3);
    load.is_pushed(0, "3", 4);
    assert_eq!(load.rollouts(), [("3".to_owned(), 2, 4)], "2 was overtaken");
}

#[test]
fn content_that_is_sent_again_reaches_nobody_new() {
    let mut load = Load::holding(2, "old");
    load.is_pushed(0, "new", 1);
    load.gets(0, "new", 2, Novelty::Same);
    assert_eq!(load.rollouts(), []);
}

#[test]
fn a_push_has_reached_all_when_those_that_it_has_not_are_gone() {
    let mut load = Load::holding(3, "old");
    load.is_pushed(0, "new", 1);
    load.is_pushed(0, "new", 2);
    load.ends(Some("new"), Code::Ok, "");
    assert_eq!(load.rollouts(), [], "one of two has it");
    load.ends(Some("old"), Code::Ok, "");
    assert_eq!(load.rollouts(), [("new".to_owned(), 1, 2)]);
}

#[test]
fn nobody_is_waited_for_once_each_stream_has_secrets_or_has_ended() {
    let mut load = Load::of(&[2]);
    load.gets(0, "old", 0, Novelty::First(Duration::ZERO));
    assert_eq!(load.tally.waiting(), 1);
    let news = load.tally.ended(0, None, &Status::unauthenticated("no"));
    assert_eq!((load.tally.waiting(), news), (0, News::Some));
}

#[test]
fn ends_are_counted_by_their_code_with_the_first_message() {
    let mut load = Load::holding(3, "old");
    load.ends(Some("old"), Code::Unavailable, "one");
    load.ends(Some("old"), Code::Ok, "");
    load.ends(Some("old"), Code::Unavailable, "two");
    let ends: Vec<_> = load.tally.ends().map(|(code, end)| (code, end.streams, &*end.message)).collect();
    assert_eq!(ends, [(Code::Ok, 1, ""), (Code::Unavailable, 2, "one")]);
}

#[test]
fn streams_are_dealt_one_by_one() {
    for (all, among, dealt) in [(7, 3, vec![3, 2, 2]), (2, 2, vec![1, 1]), (10_000, 1, vec![10_000])] {
        let shares: Vec<_> = (0..among).map(|place| share(all, among, place)).collect();
        assert_eq!(shares, dealt, "{all} among {among}");
    }
}

#[test]
fn the_span_of_a_push_is_from_the_first_stream_to_the_last() {
    let mut load = Load::holding(2, "old");
    load.is_pushed(0, "new", 5);
    load.is_pushed(0, "new", 8);
    let spans = load.tally.spans();
    assert_eq!((spans.count(), spans.quantile(1.0).as_secs_f64().round()), (1, 3.0));
}
