//! Asks the CA for SVIDs: in time, fairly, and not in vain.

mod attempt;
mod bundle_poll;
mod calls;
mod endings;
mod gate;
mod queue;
mod recalls;
mod releases;
mod roots;
mod trust;
mod work;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::StreamExt;
use signet_client::{CaClient, Reachability};
use signet_identity::{Clock, TrustDomain};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, time::DelayQueue};

use self::{
    bundle_poll::BundlePoll,
    calls::Done,
    endings::{Dropped, Endings},
    gate::Gate,
    queue::ReadyQueue,
    recalls::{GIVEN_UP_AFTER, Recalls},
    trust::Trust,
    work::{Stage, Step, Work},
};
use crate::{
    metrics,
    moment::Moment,
    secret_cache::{Entry, Event, SecretCache, SecretKey, TokenRules},
    trouble::Trouble,
    workload::audience::TokenAudience,
};

/// How questions for the roots alone can end.
pub(crate) const BUNDLE_OUTCOMES: [&str; 3] = bundle_poll::Ended::OUTCOMES;

/// The one task that decides for every entry of the cache when the CA is asked.
///
/// What is held serves until something newer has been verified or it ends, whatever the CA does.
pub struct Renewer {
    cache: SecretCache,
    clock: Arc<dyn Clock>,
    ca: Arc<dyn CaClient>,
    lifetime: Option<Duration>,
    reachability: watch::Receiver<Reachability>,
    last_reachability: Reachability,
    works: HashMap<SecretKey, Work>,
    timers: DelayQueue<SecretKey>,
    ready: ReadyQueue,
    recalls: Recalls,
    endings: Endings,
    gate: Gate,
    trust: Trust,
    poll: BundlePoll,
    calls: JoinSet<Done>,
    in_flight: usize,
}

/// What is asked for, and how much of it is held.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Of all workloads of this agent.
    pub trust_domain: TrustDomain,
    /// How long an SVID is to live. `None` leaves it to the CA, which may cut it in any case.
    pub lifetime: Option<Duration>,
    /// For whom a workload's token must be. `None` leaves it to the CA.
    pub audience: Option<TokenAudience>,
    /// How many SVIDs are held at most.
    pub most_svids: usize,
}

impl Renewer {
    /// An empty cache, and the renewer that fills it from `ca`.
    pub fn new(terms: Terms, ca: Arc<dyn CaClient>, clock: Arc<dyn Clock>) -> (SecretCache, Self) {
        let rules = TokenRules::new(terms.trust_domain, terms.audience);
        let cache = SecretCache::new(rules, Arc::clone(&clock), terms.most_svids);
        let renewer = Self {
            trust: Trust::new(cache.trust_domain().clone(), cache.clone()),
            reachability: ca.reachability(),
            last_reachability: Reachability::Unknown,
            works: HashMap::new(),
            timers: DelayQueue::new(),
            ready: ReadyQueue::default(),
            recalls: Recalls::default(),
            endings: Endings::default(),
            gate: Gate::default(),
            poll: BundlePoll::starting(Instant::now()),
            calls: JoinSet::new(),
            in_flight: 0,
            lifetime: terms.lifetime,
            cache: cache.clone(),
            clock,
            ca,
        };
        (cache, renewer)
    }

    /// Works until `stop`. Calls in flight are dropped then.
    pub async fn run(mut self, stop: CancellationToken) {
        self.note_reachability();
        loop {
            self.ask_for_roots();
            self.start_calls();
            self.recall_streams();
            self.tell_of_endings();
            let wake = self.next_wake();
            tokio::select! {
                () = stop.cancelled() => return,
                event = self.cache.next_event() => self.hear(event),
                Some(due) = self.timers.next(), if !self.timers.is_empty() => self.ring(due.into_inner()),
                Some(done) = self.calls.join_next(), if !self.calls.is_empty() => self.finish(done),
                Ok(()) = self.reachability.changed() => self.note_reachability(),
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    fn hear(&mut self, event: Event) {
        let key = match event {
            Event::Wanted(entry, peer) => {
                self.recalls.returned(&peer);
                let (now, key) = (Instant::now(), entry.key().clone());
                self.forget_predecessor(&key, &entry);
                let work =
                    self.works.entry(key.clone()).or_insert_with(|| Work::new(entry, peer.clone(), now));
                if matches!(work.stage, Stage::Resting | Stage::Recalling) {
                    work.peer = peer;
                }
                // A stream shows the token anew: the CA's old word on it no longer counts.
                work.refused_until = None;
                key
            }
            Event::Left(key) => key,
        };
        self.look_at(&key);
    }

    /// The cache may have made room by forgetting an entry that nobody wanted, and made it anew since.
    fn forget_predecessor(&mut self, key: &SecretKey, entry: &Arc<Entry>) {
        if self.works.get(key).is_some_and(|work| !Arc::ptr_eq(&work.entry, entry)) {
            self.drop_work(key);
        }
    }

    fn drop_work(&mut self, key: &SecretKey) {
        let Some(work) = self.works.remove(key) else { return };
        match work.stage {
            Stage::Ready => self.ready.forget(&work.turn()),
            Stage::Recalling => self.recalls.forget(key),
            Stage::Resting | Stage::Asking => {}
        }
        if let Some(timer) = work.timer {
            self.timers.try_remove(&timer);
        }
        if let Some(token) = work.shown {
            self.release(token);
        }
        if let Some(held) = work.held.filter(|_| work.recalled) {
            self.endings.add(Dropped::of(&held.svid, work.peer), held.svid.validity().not_after());
        }
    }

    fn ring(&mut self, key: SecretKey) {
        if let Some(work) = self.works.get_mut(&key) {
            work.timer = None;
        }
        self.look_at(&key);
    }

    /// Decides what is to be done for an entry, unless the queue or the CA has the next word.
    fn look_at(&mut self, key: &SecretKey) {
        let now = self.now();
        self.end_what_is_over(key, now.wall);
        self.let_go_if_unwanted(key);
        let Some(work) = self.works.get_mut(key) else { return };
        match work.stage {
            Stage::Asking => return self.wake_at_the_end(key, now.wall),
            Stage::Ready if work.entry.is_wanted() => return self.wake_at_the_end(key, now.wall),
            Stage::Ready => self.ready.forget(&work.turn()),
            Stage::Recalling => self.recalls.forget(key),
            Stage::Resting => {}
        }
        work.stage = Stage::Resting;
        match work.step(now) {
            Step::Sleep(wait) => self.sleep(key, wait),
            Step::Ask => {
                work.stage = Stage::Ready;
                self.ready.push(work.turn(), work.schedule.serves_until(now.wall).unwrap_or(now.wall));
                self.wake_at_the_end(key, now.wall);
            }
            Step::Recall(end) => {
                work.stage = Stage::Recalling;
                self.recalls.add(key.clone(), work.peer.clone(), end);
                self.wake_at_the_end(key, now.wall);
            }
            Step::GiveUp => self.give_up(key, now),
            Step::Forget => self.forget(key),
        }
    }

    /// Nothing that is over is served, whoever has the next word.
    fn end_what_is_over(&mut self, key: &SecretKey, now: SystemTime) {
        let Some(work) = self.works.get_mut(key) else { return };
        if work.schedule.serves_until(now).is_some() {
            return;
        }
        let Some(ended) = work.held.take() else { return };
        work.entry.expire();
        if work.entry.is_wanted() {
            tracing::error!(
                spiffe_id = %ended.svid.identity(),
                serial = ended.svid.serial(),
                attempts = work.schedule.failures(),
                "an SVID has ended before there was a new one; its workload refuses and is refused"
            );
        } else if work.recalled {
            let dropped = Dropped::of(&ended.svid, work.peer.clone());
            self.endings.add(dropped, ended.svid.validity().not_after());
        }
        self.note_expiries();
    }

    fn wake_at_the_end(&mut self, key: &SecretKey, now: SystemTime) {
        let end = self.works.get(key).and_then(|work| work.schedule.serves_until(now));
        if let Some(end) = end {
            self.sleep(key, end.duration_since(now).unwrap_or_default());
        }
    }

    /// The token can get nothing and there is nothing: the streams are told, unless they were told before. One
    /// that waits for roots alone stays, and the CA may say something else when its word no longer counts.
    fn give_up(&mut self, key: &SecretKey, now: Moment) {
        let Some(work) = self.works.get(key) else { return };
        if !work.is_refused(now) {
            work.entry.fail(self.cache.withhold(key, Arc::new(Trouble::TokenOver)), None);
        }
        let until = work.refused_until.filter(|until| *until > now.timer);
        self.sleep(key, until.map_or(LONGEST_SLEEP, |until| until - now.timer));
    }

    fn forget(&mut self, key: &SecretKey) {
        // If somebody has come back for it meanwhile, the event that says so is on its way.
        if self.cache.forget(key) {
            self.drop_work(key);
            self.note_expiries();
        }
    }

    fn sleep(&mut self, key: &SecretKey, wait: Duration) {
        let Some(work) = self.works.get_mut(key) else { return };
        if let Some(timer) = work.timer.take() {
            self.timers.try_remove(&timer);
        }
        work.timer = Some(self.timers.insert(key.clone(), wait.min(LONGEST_SLEEP)));
    }

    /// Asks proxies to come back with a fresh token, while there is a CA to show it to.
    fn recall_streams(&mut self) {
        if *self.reachability.borrow() != Reachability::Reachable {
            return;
        }
        let now = self.now();
        while let Some(key) = self.recalls.next(now.timer) {
            let Some(work) = self.works.get_mut(&key) else { continue };
            work.stage = Stage::Resting;
            // A stream that does not go is asked again, less and less often.
            work.schedule.failed(now, fastrand::f64(), RECALL_PATIENCE);
            work.entry.recall();
            work.recalled = true;
            metrics::recalled();
            self.look_at(&key);
        }
    }

    fn tell_of_endings(&mut self) {
        let now = self.clock.now();
        while let Some(dropped) = self.endings.next(now) {
            dropped.tell();
        }
    }

    /// When something may happen that no event announces.
    fn next_wake(&self) -> Option<Instant> {
        let now = Instant::now();
        let reachability = *self.reachability.borrow();
        let releases = match reachability {
            Reachability::Reachable => [self.ready.next_release(now), self.recalls.next_release()],
            _ => [self.ready.next_release(now), self.gate.next_release(now)],
        };
        let ending = self.endings.wait(self.clock.now()).map(|wait| now + wait.min(LONGEST_SLEEP));
        releases.into_iter().chain([ending, self.poll.next(reachability)]).flatten().min()
    }

    fn now(&self) -> Moment {
        Moment::now(&*self.clock)
    }

    fn note_expiries(&self) {
        let now = self.clock.now();
        metrics::svids(self.works.values().filter_map(|work| work.schedule.serves_until(now)));
    }
}

/// Timers run on a clock that stands still while the machine sleeps; certificates do not. So the wall is looked
/// at this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// How long a recalled stream has before it is recalled again. Envoy is back within a second. Longer than its
/// place is kept, so that its pod's others come before one that does not go.
const RECALL_PATIENCE: Duration = GIVEN_UP_AFTER.saturating_add(Duration::from_secs(5));

#[cfg(test)]
mod tests;
