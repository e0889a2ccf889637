//! When what was seen is told: not while it still changes, and not before there was time to complete it.
//! Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::{Faults, snapshot::Digest};

/// What was found at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) digest: Digest,
    /// `None`: the set is good.
    pub(super) faults: Option<Faults>,
}

/// What is to be done after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Tell what was seen.
    Tell,
    /// Look again after this.
    LookAgain(Duration),
    /// There is nothing new.
    Rest,
}

/// What was told last, and what may be told next.
#[derive(Debug, Default)]
pub(super) struct Settling {
    told: Option<Seen>,
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    digest: Digest,
    /// When it was first seen like this.
    since: Instant,
    /// When it first differed from what was told.
    begun: Instant,
}

impl Settling {
    /// Decides on what was seen at `now`. If it is to tell, it counts as told.
    ///
    /// A good set whose end comes nearer goes on being good: who has it knows when it ends. A faulty one is
    /// told again when its faults differ, for time alone can mend it, or make it worse.
    pub(super) fn look(&mut self, seen: Seen, now: Instant) -> Next {
        let known =
            |told: &Seen| told.digest == seen.digest && (told.faults.is_none() || told.faults == seen.faults);
        if self.told.as_ref().is_some_and(known) {
            self.pending = None;
            return Next::Rest;
        }
        let begun = self.pending.as_ref().map_or(now, |pending| pending.begun);
        let since = match &self.pending {
            Some(pending) if pending.digest == seen.digest => pending.since,
            _ => now,
        };
        let wanted = if seen.faults.is_none() { QUIET } else { GRACE };
        if now - since >= wanted || now - begun >= PATIENCE {
            self.pending = None;
            self.told = Some(seen);
            return Next::Tell;
        }
        self.pending = Some(Pending { digest: seen.digest, since, begun });
        Next::LookAgain(QUIET)
    }
}

/// What is the same for so long is not being written any more.
pub(super) const QUIET: Duration = Duration::from_millis(200);

/// From the last change to the first word on a fault: files that are copied one by one are no set until the
/// last.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// What goes on changing is told as it is after so long.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::injected::{fault::PemProblem, snapshot::Snapshot};

    /// A set that differs from every other of another name.
    fn good(name: &str) -> Seen {
        Seen { digest: Snapshot::take(name.as_ref()).digest(), faults: None }
    }

    fn faulty(name: &str, file: &'static str) -> Seen {
        let mut faults = Faults::none_in("directory".as_ref());
        faults.push(file, PemProblem::None);
        Seen { faults: Some(faults), ..good(name) }
    }

    fn told() -> (Settling, Instant) {
        let (mut settling, start) = (Settling::default(), Instant::now());
        settling.look(good("a"), start);
        assert_eq!(settling.look(good("a"), start + QUIET), Next::Tell);
        (settling, start + QUIET)
    }

    #[tokio::test]
    async fn a_good_set_is_told_once_and_not_before_it_was_seen_twice() {
        let (mut settling, start) = (Settling::default(), Instant::now());
        assert_eq!(settling.look(good("a"), start), Next::LookAgain(QUIET));
        assert_eq!(settling.look(good("b"), start + QUIET), Next::LookAgain(QUIET), "it has changed");
        assert_eq!(settling.look(good("b"), start + 2 * QUIET), Next::Tell);
        assert_eq!(settling.look(good("b"), start + 3 * QUIET), Next::Rest);
    }

    #[tokio::test]
    async fn faults_are_told_once_and_after_a_grace() {
        let (mut settling, start) = told();
        assert_eq!(settling.look(faulty("b", "x"), start), Next::LookAgain(QUIET));
        assert_eq!(settling.look(faulty("b", "x"), start + GRACE - QUIET), Next::LookAgain(QUIET));
        assert_eq!(settling.look(faulty("b", "x"), start + GRACE), Next::Tell);
        assert_eq!(settling.look(faulty("b", "x"), start + 2 * GRACE), Next::Rest);
    }

    #[tokio::test]
    async fn the_grace_begins_anew_with_each_change() {
        let (mut settling, start) = told();
        for (second, name) in (0..).zip(["b", "c", "d"]) {
            let now = start + second * (GRACE - QUIET);
            assert_eq!(settling.look(faulty(name, "x"), now), Next::LookAgain(QUIET));
        }
        let now = start + 3 * GRACE;
        assert_eq!(settling.look(good("e"), now), Next::LookAgain(QUIET));
        assert_eq!(settling.look(good("e"), now + QUIET), Next::Tell);
    }

    #[tokio::test]
    async fn what_was_only_disturbed_is_not_told_again() {
        let (mut settling, start) = told();
        assert_eq!(settling.look(faulty("b", "x"), start), Next::LookAgain(QUIET));
        assert_eq!(settling.look(good("a"), start + QUIET), Next::Rest);
        assert_eq!(settling.look(faulty("b", "x"), start + GRACE), Next::LookAgain(QUIET), "it begins anew");
    }

    #[tokio::test]
    async fn other_faults_of_the_same_files_are_told_and_so_is_that_time_has_mended_them() {
        let (mut settling, start) = told();
        let (early, late) = (faulty("b", "not yet valid"), faulty("b", "something else"));
        settling.look(early.clone(), start);
        assert_eq!(settling.look(early, start + GRACE), Next::Tell);
        settling.look(late.clone(), start + GRACE);
        assert_eq!(settling.look(late, start + 2 * GRACE), Next::Tell);
        settling.look(good("b"), start + 2 * GRACE);
        assert_eq!(settling.look(good("b"), start + 3 * GRACE), Next::Tell);
    }

    #[tokio::test]
    async fn a_good_set_whose_end_comes_nearer_is_not_told_again() {
        let (mut settling, start) = told();
        for seconds in [0, 60, 120] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(settling.look(faulty("a", "over"), now), Next::Rest);
        }
    }

    #[tokio::test]
    async fn what_never_stops_changing_is_told_as_it_is_after_a_while() {
        let (mut settling, start) = told();
        let names = ["b", "c"].into_iter().cycle();
        let looks = (0_u32..).map(|number| start + number * QUIET).zip(names);
        let first_told =
            looks.take(1000).find(|(now, name)| settling.look(faulty(name, "x"), *now) == Next::Tell);
        assert_eq!(first_told.map(|(now, _)| now - start), Some(PATIENCE));
    }
}
