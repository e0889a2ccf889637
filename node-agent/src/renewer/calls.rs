//! Calls to the CA, from their turn to what becomes of the answer.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
use signet_client::Reachability;
use signet_runtime::telemetry::chain;
use tokio::{
    task::JoinError,
    time::{Instant, sleep_until},
};
use tracing::field::display;

use super::{
    Renewer,
    attempt::{Failed, Granted, attempt},
    queue::{Turn, Verdict},
    roots::Told,
    trust::{Roots, Verified},
    work::{Stage, Work},
};
use crate::{
    metrics,
    moment::Moment,
    secret_cache::{Credential, SecretKey, VERDICT_COUNTS_FOR},
    trouble::Trouble,
};

/// A task of the renewer has ended.
pub(super) enum Done {
    /// The CA was asked, and this is how long it took.
    Asked(Turn, Box<Result<Granted, Failed>>, Duration),
    /// The roots of this SVID have had their time to travel.
    Travelled(SecretKey, Box<Verified>),
    /// The CA was asked for the roots alone.
    Told(Told),
}

impl Renewer {
    /// Hears of each new connection too, whether or not the last one was good.
    pub(super) fn note_reachability(&mut self) {
        let reachability = *self.reachability.borrow_and_update();
        let is_news = std::mem::replace(&mut self.last_reachability, reachability) != reachability;
        metrics::ca(reachability);
        match reachability {
            // Every start: the first attempt to connect is under way.
            Reachability::Unknown => return,
            Reachability::Disconnected | Reachability::Failing if is_news => {
                tracing::warn!(?reachability, "the CA cannot be had; what is held goes on serving");
                return;
            }
            Reachability::Disconnected | Reachability::Failing => {}
            Reachability::Reachable => {
                if is_news {
                    tracing::info!("the CA can be had");
                }
                self.wake_waiters();
            }
        }
        self.poll.found_ca(Instant::now());
    }

    fn wake_waiters(&mut self) {
        self.gate.found_ca();
        let now = Instant::now();
        let waiting = self.works.values_mut().filter(|work| work.found_no_ca);
        let woken: Vec<_> = waiting.map(|work| work.wake(now)).collect();
        woken.iter().for_each(|key| self.look_at(key));
    }

    /// As many calls as the CA may get now.
    pub(super) fn start_calls(&mut self) {
        let (now, reachability) = (self.now(), *self.reachability.borrow());
        while self.gate.admits(reachability, self.in_flight, now.timer) {
            let Some(turn) = self.next_turn(reachability, now) else { return };
            self.start(turn);
        }
    }

    fn next_turn(&mut self, reachability: Reachability, now: Moment) -> Option<Turn> {
        while let Some(turn) = self.ready.pop(now.timer) {
            let work = self.works.get_mut(&turn.key);
            if work.is_some_and(|work| work.entry.is_wanted() && work.token_is_of_use(now)) {
                return Some(turn);
            }
            self.ready.finish(&turn, Verdict::NotRefused, now.timer);
            self.rest(&turn.key);
        }
        if reachability == Reachability::Failing { self.probe(now) } else { None }
    }

    /// Only a call can tell whether a CA is back that was connected all the time. When nobody has a token that
    /// is good for one, the refusal of a dead one tells as much.
    fn probe(&mut self, now: Moment) -> Option<Turn> {
        let key = self.recalls.earliest()?.clone();
        self.recalls.forget(&key);
        let work = self.works.get_mut(&key)?;
        work.stage = Stage::Ready;
        self.ready.push(work.turn(), now.wall);
        self.ready.pop(now.timer)
    }

    fn start(&mut self, turn: Turn) {
        let Some(work) = self.works.get_mut(&turn.key) else { return };
        work.stage = Stage::Asking;
        self.in_flight += 1;
        let (ca, lifetime, started) = (Arc::clone(&self.ca), self.lifetime, Instant::now());
        let (credential, rules) = (work.entry.credential().clone(), self.cache.rules().clone());
        self.calls.spawn(async move {
            // A panic is an end like any other: else its turn were taken for good. It shares nothing that it could
            // have left half done.
            let asked = AssertUnwindSafe(attempt(&*ca, &credential, &rules, lifetime)).catch_unwind();
            let bug = Failed { trouble: Arc::new(Trouble::Bug), identity: None, shown: None };
            let result = asked.await.unwrap_or(Err(bug));
            Done::Asked(turn, Box::new(result), started.elapsed())
        });
    }

    pub(super) fn finish(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(Done::Asked(turn, result, took)) => self.take_answer(&turn, *result, took),
            Ok(Done::Travelled(key, verified)) => self.publish_unless_outdated(&key, *verified),
            Ok(Done::Told(told)) => self.hear_of_roots(told),
            Err(fault) => tracing::error!(%fault, "a task of the renewer ended in a bug of the agent"),
        }
    }

    fn take_answer(&mut self, turn: &Turn, result: Result<Granted, Failed>, took: Duration) {
        let now = self.now();
        self.in_flight = self.in_flight.saturating_sub(1);
        let refused = matches!(&result, Err(failed) if matches!(*failed.trouble, Trouble::Refused(_)));
        self.ready.finish(turn, if refused { Verdict::Refused } else { Verdict::NotRefused }, now.timer);
        self.note_whether_ca_is_there(result.as_ref().err().map(|failed| &*failed.trouble), now.timer);
        self.note_shown(
            &turn.key,
            result.as_ref().map_or_else(|failed| failed.shown, |granted| Some(granted.shown)),
        );
        let judged = result.and_then(|granted| {
            let (identity, shown) = (Some(granted.identity.clone()), Some(granted.shown));
            self.trust.judge(granted, now).map_err(|trouble| Failed {
                trouble: Arc::new(trouble),
                identity,
                shown,
            })
        });
        metrics::attempt_ended(
            judged.as_ref().map_or_else(|failed| failed.trouble.outcome(), |_| "issued"),
            took,
        );
        match judged {
            Ok(verified) => {
                if verified.roots == Roots::Withdrawn {
                    self.hasten_orphans(now);
                }
                self.publish_in_time(&turn.key, verified);
            }
            Err(failed) => self.note_failure(&turn.key, failed, now),
        }
    }

    fn note_whether_ca_is_there(&mut self, trouble: Option<&Trouble>, now: Instant) {
        match trouble {
            None | Some(Trouble::Refused(_)) => self.gate.found_ca(),
            Some(Trouble::CaAway(error)) if error.is_answer() => self.gate.found_ca(),
            Some(Trouble::CaAway(_) | Trouble::NonsenseFromCa(_)) => {
                self.gate.found_no_ca(now, fastrand::f64())
            }
            // No token, or no key: the CA was not asked.
            Some(_) => {}
        }
    }

    /// An SVID under none of the roots that are left is of no use to anybody: it is renewed now, not in its time.
    /// A CA whose state was made anew is the case; one that rotates its roots waits for the last leaf under each.
    pub(super) fn hasten_orphans(&mut self, now: Moment) {
        let worthless = |work: &&mut Work| {
            work.held.as_ref().is_some_and(|held| self.trust.judge_again(held, now.wall).is_err())
        };
        let orphans = self.works.values_mut().filter(worthless).map(|work| {
            work.schedule.hasten(now.timer + ORPHANS_RENEWED_WITHIN.mul_f64(fastrand::f64()));
            work.entry.key().clone()
        });
        let orphans: Vec<_> = orphans.collect();
        if !orphans.is_empty() {
            tracing::warn!(
                svids = orphans.len(),
                "roots were withdrawn under SVIDs that serve; they are renewed now"
            );
        }
        orphans.iter().for_each(|key| self.look_at(key));
    }

    fn publish_in_time(&mut self, key: &SecretKey, verified: Verified) {
        let Some(not_before) = verified.not_before else { return self.publish(key, verified) };
        let key = key.clone();
        self.calls.spawn(async move {
            sleep_until(not_before).await;
            Done::Travelled(key, Box::new(verified))
        });
    }

    /// Its root may have been withdrawn while it waited.
    fn publish_unless_outdated(&mut self, key: &SecretKey, verified: Verified) {
        let now = self.now();
        match self.trust.judge_again(&verified.held, now.wall) {
            Ok(()) => self.publish(key, verified),
            Err(trouble) => {
                let identity = Some(verified.held.svid.identity().clone());
                self.note_failure(key, Failed { trouble: Arc::new(trouble), identity, shown: None }, now);
            }
        }
    }

    fn publish(&mut self, key: &SecretKey, verified: Verified) {
        let now = self.now();
        let Some(work) = self.works.get_mut(key) else { return };
        let Verified { held, secret, .. } = verified;
        let svid = &held.svid;
        work.schedule.issued(svid.validity(), now, fastrand::f64());
        work.proven = true;
        tracing::info!(
            spiffe_id = %svid.identity(),
            serial = svid.serial(),
            expires_in_seconds = svid.validity().remaining(now.wall).as_secs(),
            credential = %key,
            "SVID issued"
        );
        work.entry.publish(svid.identity().clone(), secret);
        self.endings.succeeded(svid.identity(), &work.peer);
        work.recalled = false;
        work.held = Some(held);
        self.note_expiries();
        self.rest(key);
    }

    fn note_failure(&mut self, key: &SecretKey, failed: Failed, now: Moment) {
        let Some(work) = self.works.get_mut(key) else { return };
        let trouble = failed.trouble;
        work.schedule.failed(now, fastrand::f64(), trouble.retry_after());
        work.found_no_ca = matches!(*trouble, Trouble::CaAway(_));
        let same_token = matches!(work.entry.credential(), Credential::Stream(_));
        let refused = same_token && matches!(*trouble, Trouble::Refused(_));
        work.refused_until = refused.then(|| now.timer + VERDICT_COUNTS_FOR);
        let (spiffe_id, attempt) = (failed.identity.as_ref().map(display), work.schedule.failures());
        let why = chain(&*trouble).to_string();
        match work.schedule.serves_until(now.wall).map(|end| seconds(end, now.wall)) {
            Some(serves_for_seconds) => tracing::warn!(
                spiffe_id, credential = %key, attempt, serves_for_seconds, trouble = %why,
                "no new SVID; what is held goes on serving"
            ),
            None => tracing::warn!(
                spiffe_id, credential = %key, attempt, trouble = %why,
                "no SVID; nothing is held, and the proxy waits"
            ),
        }
        work.entry.fail(self.cache.withhold(key, trouble), failed.identity);
        self.rest(key);
    }

    /// Nobody has the next word on this entry but the renewer.
    fn rest(&mut self, key: &SecretKey) {
        if let Some(work) = self.works.get_mut(key) {
            work.stage = Stage::Resting;
        }
        self.look_at(key);
    }
}

fn seconds(end: SystemTime, now: SystemTime) -> u64 {
    end.duration_since(now).unwrap_or_default().as_secs()
}

/// Spread, because all agents of a mesh find out at once.
const ORPHANS_RENEWED_WITHIN: Duration = Duration::from_secs(10);
