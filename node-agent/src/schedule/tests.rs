//! Properties of the schedule over all dice and lifetimes.

use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

/// Valid for `lifetime` seconds from second 0, backdated by `backdate`.
fn validity(backdate: u64, lifetime: u64) -> Validity {
    Validity::new(at(0) - Duration::from_secs(backdate), at(lifetime)).unwrap()
}

fn holding(lifetime: u64, jitter: f64) -> RotationSchedule {
    let mut schedule = RotationSchedule::starting(at(0));
    schedule.issued(validity(0, lifetime), at(0), jitter);
    schedule
}

fn wait(schedule: &RotationSchedule, now: SystemTime) -> Duration {
    schedule.next_attempt().duration_since(now).unwrap()
}

#[test]
fn the_first_certificate_is_asked_for_at_once() {
    assert_eq!(RotationSchedule::starting(at(7)).next_attempt(), at(7));
    assert_eq!(RotationSchedule::starting(at(7)).serves_until(at(7)), None);
}

#[test]
fn the_dice_span_the_window_from_0_4_to_0_7() {
    assert_eq!(holding(1000, 0.0).next_attempt(), at(400));
    assert_eq!(holding(1000, 0.5).next_attempt(), at(550));
    assert_eq!(holding(1000, 1.0).next_attempt(), at(700));
}

#[test]
fn a_certificate_serves_to_its_end_and_not_longer() {
    let schedule = holding(1000, 0.5);
    assert_eq!(schedule.serves_until(at(999)), Some(at(1000)));
    assert_eq!(schedule.serves_until(at(1000)), None);
}

#[test]
fn a_ca_that_backdates_by_more_than_it_grants_is_not_asked_in_a_loop() {
    let mut schedule = RotationSchedule::starting(at(0));
    schedule.issued(validity(60, 20), at(0), 0.0);
    assert_eq!(wait(&schedule, at(0)), Duration::from_secs(8));
}

#[test]
fn the_cas_return_hastens_a_retry_and_no_renewal() {
    let mut schedule = holding(1000, 0.5);
    schedule.retry_now(at(1));
    assert_eq!(schedule.next_attempt(), at(550), "a renewal that never failed keeps its time");
    schedule.failed(at(550), 1.0, Duration::from_secs(30));
    schedule.retry_now(at(551));
    assert_eq!(schedule.next_attempt(), at(551));
}

#[test]
fn what_has_become_worthless_is_renewed_sooner_and_never_later() {
    let mut schedule = holding(1000, 0.5);
    schedule.hasten(at(10));
    assert_eq!(schedule.next_attempt(), at(10));
    schedule.hasten(at(20));
    assert_eq!(schedule.next_attempt(), at(10));
}

#[test]
fn the_cas_own_wish_is_heard_within_bounds() {
    for (name, mut schedule, now, asks_for, waits) in [
        ("nothing in hand, a short wait", RotationSchedule::starting(at(0)), 0, 4, 4),
        ("nothing in hand, a long one", RotationSchedule::starting(at(0)), 0, 86_400, 5),
        ("a certificate that serves", holding(1000, 0.5), 550, 20, 20),
        ("a certificate that serves, a long wait", holding(1000, 0.5), 550, 86_400, 60),
        ("a certificate that dies in 20 s", holding(1000, 0.5), 980, 86_400, 10),
        ("a certificate that is dead", holding(1000, 0.5), 1000, 86_400, 5),
    ] {
        schedule.failed(at(now), 0.0, Duration::from_secs(asks_for));
        assert_eq!(wait(&schedule, at(now)).as_secs(), waits, "{name}");
    }
}

proptest! {
    #[test]
    fn a_renewal_lies_in_the_window(lifetime in 3u64..10_000_000, jitter in 0.0..1.0f64) {
        let share = wait(&holding(lifetime, jitter), at(0)).as_secs_f64() / lifetime as f64;
        prop_assert!((0.399..=0.701).contains(&share), "{share}");
    }

    #[test]
    fn with_nothing_in_hand_no_wait_exceeds_5_s(
        asked_for in 0u64..1000,
        dice in proptest::collection::vec(0.0..1.0f64, 1..40),
    ) {
        let mut schedule = RotationSchedule::starting(at(0));
        for jitter in dice {
            schedule.failed(at(0), jitter, Duration::from_secs(asked_for));
            let wait = wait(&schedule, at(0));
            prop_assert!(wait >= SHORTEST_BACK_OFF && wait <= LONGEST_BACK_OFF_WITH_NOTHING, "{wait:?}");
        }
    }

    #[test]
    fn a_back_off_leaves_room_for_another_attempt(
        lifetime in 10u64..1_000_000,
        spent in 0.4..0.99f64,
        asked_for in 0u64..1000,
        dice in proptest::collection::vec(0.0..1.0f64, 1..40),
    ) {
        let mut schedule = holding(lifetime, 0.5);
        let now = at(0) + Duration::from_secs(lifetime).mul_f64(spent);
        let left = at(lifetime).duration_since(now).unwrap();
        for jitter in dice {
            schedule.failed(now, jitter, Duration::from_secs(asked_for));
            let wait = wait(&schedule, now);
            prop_assert!(wait <= LONGEST_BACK_OFF && wait <= (left / 2).max(SHORTEST_BACK_OFF), "{wait:?}");
        }
    }

    #[test]
    fn back_off_grows_with_failures(failures in 0usize..12) {
        let mut schedule = holding(1_000_000, 0.5);
        for _ in 0..failures { schedule.failed(at(0), 1.0, Duration::ZERO); }
        let before = wait(&schedule, at(0));
        schedule.failed(at(0), 1.0, Duration::ZERO);
        let expected = LONGEST_BACK_OFF.min(FIRST_BACK_OFF * 2u32.pow(failures as u32));
        prop_assert_eq!(wait(&schedule, at(0)), expected);
        prop_assert!(failures == 0 || expected >= before.min(LONGEST_BACK_OFF));
    }
}
