//! Connections and rotations in a time that stands still until it is told to go on.

use std::time::UNIX_EPOCH;

use tokio::time::advance;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_first_failure_is_kept_and_a_gap_ends_with_a_success() {
    let mut ledger = Ledger::default();
    ledger.succeeded();
    for reason in ["first", "second"] {
        advance(SECOND).await;
        ledger.failed(failure(reason));
    }
    advance(SECOND).await;
    ledger.succeeded();
    advance(SECOND).await;
    ledger.succeeded();

    let tally = ledger.close();
    assert_eq!((tally.handshakes, tally.failures), (5, 2));
    assert_eq!(tally.first_failure, Some(failure("first")));
    assert_eq!(tally.longest_gap, 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_lasts_to_the_end_counts() {
    let mut ledger = Ledger::default();
    ledger.succeeded();
    advance(5 * SECOND).await;
    assert_eq!(ledger.close().longest_gap, 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn workers_that_change_one_after_the_other_serve_both_for_a_while() {
    let mut ledger = Ledger::default();
    assert!(!ledger.met("1"), "there is no other yet");
    ledger.rotated(rotation("1", "2"));
    advance(SECOND).await;
    assert!(ledger.met("1"));
    advance(SECOND).await;
    assert!(ledger.met("1") && !ledger.met("2"));
    advance(SECOND).await;
    ledger.rotated(rotation("2", "3"));

    let both: Vec<_> = ledger.close().rotations.into_iter().map(|rotation| rotation.both_seen).collect();
    assert_eq!(both, [Some(2 * SECOND), None]);
}

fn failure(reason: &str) -> Failure {
    Failure { at: UNIX_EPOCH, connection: "new with old".to_owned(), reason: reason.to_owned() }
}

fn rotation(old: &str, new: &str) -> Rotation {
    Rotation {
        at: UNIX_EPOCH,
        old_serial: old.to_owned(),
        new_serial: new.to_owned(),
        old_valid_for: SECOND,
        both_seen: None,
    }
}
