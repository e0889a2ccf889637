//! Properties of the schedule over all dice and lifetimes.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// A moment at which neither clock was touched since second 0.
fn at(seconds: u64) -> Moment {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    Moment { wall: wall(seconds), timer: *START + Duration::from_secs(seconds) }
}

fn wall(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

/// Valid for `lifetime` seconds from second 0, backdated by `backdate`.
fn validity(backdate: u64, lifetime: u64) -> Validity {
    Validity::new(wall(0) - Duration::from_secs(backdate), wall(lifetime)).unwrap()
}

fn holding(lifetime: u64, jitter: f64) -> RotationSchedule {
    let mut schedule = RotationSchedule::starting(at(0).timer);
    schedule.issued(validity(0, lifetime), at(0), jitter);
    schedule
}

#[test]
fn the_first_certificate_is_asked_for_at_once() {
    assert_eq!(RotationSchedule::starting(at(7).timer).wait(at(7)), Duration::ZERO);
    assert_eq!(RotationSchedule::starting(at(7).timer).serves_until(wall(7)), None);
}

#[test]
fn the_dice_span_the_window_from_0_4_to_0_7() {
    assert_eq!(holding(1000, 0.0).wait(at(0)), Duration::from_secs(400));
    assert_eq!(holding(1000, 0.5).wait(at(0)), Duration::from_secs(550));
    assert_eq!(holding(1000, 1.0).wait(at(0)), Duration::from_secs(700));
}

#[test]
fn a_certificate_serves_to_its_end_and_not_longer() {
    let schedule = holding(1000, 0.5);
    assert_eq!(schedule.serves_until(wall(999)), Some(wall(1000)));
    assert_eq!(schedule.serves_until(wall(1000)), None);
}

#[test]
fn a_ca_that_backdates_by_more_than_it_grants_is_not_asked_in_a_loop() {
    let mut schedule = RotationSchedule::starting(at(0).timer);
    schedule.issued(validity(60, 20), at(0), 0.0);
    assert_eq!(schedule.wait(at(0)), Duration::from_secs(8));
}

#[test]
fn the_cas_return_hastens_a_retry_and_no_renewal() {
    let mut schedule = holding(1000, 0.5);
    schedule.retry_now(at(1).timer);
    assert_eq!(schedule.wait(at(0)), Duration::from_secs(550), "a renewal that never failed keeps its time");
    schedule.failed(at(550), 1.0, Duration::from_secs(30));
    schedule.retry_now(at(551).timer);
    assert_eq!(schedule.wait(at(0)), Duration::from_secs(551));
}

#[test]
fn what_has_become_worthless_is_renewed_sooner_and_never_later() {
    let mut schedule = holding(1000, 0.5);
    schedule.hasten(at(10).timer);
    assert_eq!(schedule.wait(at(0)), Duration::from_secs(10));
    schedule.hasten(at(20).timer);
    assert_eq!(schedule.wait(at(0)), Duration::from_secs(10));
}

#[test]
fn the_cas_own_wish_is_heard_within_bounds() {
    for (name, mut schedule, now, asks_for, waits) in [
        ("nothing in hand, a short wait", RotationSchedule::starting(at(0).timer), 0, 4, 4),
        ("nothing in hand, a long one", RotationSchedule::starting(at(0).timer), 0, 86_400, 5),
        ("a certificate that serves", holding(1000, 0.5), 550, 20, 20),
        ("a certificate that serves, a long wait", holding(1000, 0.5), 550, 86_400, 60),
        ("a certificate that dies in 20 s", holding(1000, 0.5), 980, 86_400, 10),
        ("a certificate that is dead", holding(1000, 0.5), 1000, 86_400, 5),
    ] {
        schedule.failed(at(now), 0.0, Duration::from_secs(asks_for));
        assert_eq!(schedule.wait(at(now)).as_secs(), waits, "{name}");
    }
}

#[test]
fn a_wall_clock_that_steps_delays_nothing() {
    let stepped = |now: Moment, wall: SystemTime| Moment { wall, ..now };
    let (renewal, mut retry) = (holding(1000, 0.5), holding(1000, 0.5));
    retry.failed(at(550), 1.0, Duration::from_secs(30));
    for (name, schedule, now, waits) in [
        ("a renewal, set back", &renewal, stepped(at(540), wall(0)), 10),
        ("a renewal, set forward", &renewal, stepped(at(100), wall(540)), 10),
        ("a renewal that was slept through", &renewal, stepped(at(100), wall(900)), 0),
        ("a retry, set back", &retry, stepped(at(560), wall(0)), 20),
        ("a retry, set forward", &retry, stepped(at(560), wall(990)), 20),
    ] {
        assert_eq!(schedule.wait(now).as_secs(), waits, "{name}");
    }
}

proptest! {
    #[test]
    fn a_renewal_lies_in_the_window(lifetime in 3u64..10_000_000, jitter in 0.0..1.0f64) {
        let share = holding(lifetime, jitter).wait(at(0)).as_secs_f64() / lifetime as f64;
        prop_assert!((0.399..=0.701).contains(&share), "{share}");
    }

    #[test]
    fn with_nothing_in_hand_no_wait_exceeds_5_s(
        asked_for in 0u64..1000,
        dice in proptest::collection::vec(0.0..1.0f64, 1..40),
    ) {
        let mut schedule = RotationSchedule::starting(at(0).timer);
        for jitter in dice {
            schedule.failed(at(0), jitter, Duration::from_secs(asked_for));
            let wait = schedule.wait(at(0));
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
        let passed = Duration::from_secs(lifetime).mul_f64(spent);
        let now = Moment { wall: wall(0) + passed, timer: at(0).timer + passed };
        let left = wall(lifetime).duration_since(now.wall).unwrap();
        for jitter in dice {
            schedule.failed(now, jitter, Duration::from_secs(asked_for));
            let wait = schedule.wait(now);
            prop_assert!(wait <= LONGEST_BACK_OFF && wait <= (left / 2).max(SHORTEST_BACK_OFF), "{wait:?}");
        }
    }

    #[test]
    fn back_off_grows_with_failures(failures in 0usize..12) {
        let mut schedule = holding(1_000_000, 0.5);
        for _ in 0..failures { schedule.failed(at(0), 1.0, Duration::ZERO); }
        let before = schedule.wait(at(0));
        schedule.failed(at(0), 1.0, Duration::ZERO);
        let expected = LONGEST_BACK_OFF.min(FIRST_BACK_OFF * 2u32.pow(failures as u32));
        prop_assert_eq!(schedule.wait(at(0)), expected);
        prop_assert!(failures == 0 || expected >= before.min(LONGEST_BACK_OFF));
    }
}
