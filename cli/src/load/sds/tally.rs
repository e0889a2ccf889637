//! What the streams of a load have seen. Pure: moments are arguments.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::CreationError;
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::load::Latencies;

/// What has come, and what has ended.
#[derive(Debug, Clone)]
pub struct Tally {
    groups: Vec<Group>,
    waiting: usize,
    waited: Latencies,
    spans: Latencies,
    pushes: u64,
    rollouts: VecDeque<Rollout>,
    ends: BTreeMap<i32, Ends>,
}

/// One content on its way to every stream of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// As the agent calls the content.
    pub version: Arc<str>,
    /// How many streams it has reached.
    pub streams: usize,
    /// When it reached the first.
    pub first: Instant,
    /// And the last.
    pub last: Instant,
}

/// Streams that ended with the same code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// How many.
    pub streams: usize,
    /// What the first of them was told.
    pub message: String,
}

/// What a stream got.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    pub(super) version: Arc<str>,
    pub(super) at: Instant,
    pub(super) novelty: Novelty,
}

/// What an arrival is to its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Novelty {
    /// Its first secrets, for which it has waited so long.
    First(Duration),
    /// Other content than it had.
    Changed,
    /// What it had.
    Same,
}

/// Streams that are sent the same.
#[derive(Debug, Clone)]
struct Group {
    /// Open, or being opened.
    streams: usize,
    /// What came last.
    current: Option<Current>,
    /// What came before that; some streams may be behind.
    before: Option<Arc<str>>,
}

#[derive(Debug, Clone)]
struct Current {
    rollout: Rollout,
    /// Whether it was pushed to all that have it: some stream's first secrets are an answer.
    pushed: bool,
    told: bool,
}

impl Tally {
    /// Nothing yet, of groups with so many streams each.
    ///
    /// # Errors
    /// No memory for a histogram.
    pub(super) fn new(groups: impl Iterator<Item = usize>) -> Result<Self, CreationError> {
        let groups: Vec<_> = groups.map(|streams| Group { streams, current: None, before: None }).collect();
        Ok(Self {
            waiting: groups.iter().map(|group| group.streams).sum(),
            groups,
            waited: Latencies::new()?,
            spans: Latencies::new()?,
            pushes: 0,
            rollouts: VecDeque::new(),
            ends: BTreeMap::new(),
        })
    }

    /// Streams that have had no secrets and have not ended.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// How long each stream that has had secrets waited for its first, from its request on.
    pub fn waited(&self) -> &Latencies {
        &self.waited
    }

    /// From the first stream of a group to the last, of each push that has reached all of its open streams.
    pub fn spans(&self) -> &Latencies {
        &self.spans
    }

    /// Streams that have not ended.
    pub fn open(&self) -> usize {
        self.groups.iter().map(|group| group.streams).sum()
    }

    /// Responses that were nobody's first.
    pub fn pushes(&self) -> u64 {
        self.pushes
    }

    /// Streams that have ended, by gRPC code.
    pub fn ends(&self) -> impl Iterator<Item = (Code, &Ends)> {
        self.ends.iter().map(|(code, ends)| (Code::from_i32(*code), ends))
    }

    pub(super) fn next_rollout(&mut self) -> Option<Rollout> {
        self.rollouts.pop_front()
    }

    /// A stream of the group got something.
    pub(super) fn arrived(&mut self, group: usize, arrival: Arrival) -> News {
        match arrival.novelty {
            Novelty::First(waited) => {
                self.waited.record(waited);
                self.waiting -= 1;
            }
            Novelty::Changed | Novelty::Same => self.pushes += 1,
        }
        self.changed(group, |group| group.arrived(arrival))
    }

    /// A stream of the group has ended that had this version.
    pub(super) fn ended(&mut self, group: usize, version: Option<&str>, end: &Status) -> News {
        if version.is_none() {
            self.waiting -= 1;
        }
        let ends = self.ends.entry(end.code() as i32);
        ends.or_insert_with(|| Ends { streams: 0, message: end.message().to_owned() }).streams += 1;
        self.changed(group, |group| group.left(version))
    }

    fn changed(&mut self, group: usize, change: impl FnOnce(&mut Group)) -> News {
        let complete = self.groups.get_mut(group).and_then(|group| {
            change(group);
            group.complete()
        });
        let news = if complete.is_some() || self.waiting == 0 { News::Some } else { News::None };
        if let Some(Rollout { first, last, .. }) = &complete {
            self.spans.record(*last - *first);
        }
        self.rollouts.extend(complete);
        if self.rollouts.len() > MOST_UNTOLD {
            self.rollouts.pop_front();
        }
        news
    }
}

/// Whether something has come about that somebody may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    None,
    Some,
}

impl Group {
    fn arrived(&mut self, Arrival { version, at, novelty }: Arrival) {
        let pushed = match novelty {
            Novelty::First(_) => false,
            Novelty::Changed => true,
            Novelty::Same => return,
        };
        match &mut self.current {
            Some(current) if current.rollout.version == version => {
                current.rollout.streams += 1;
                current.rollout.last = at;
                current.pushed &= pushed;
            }
            _ if self.before.as_ref() == Some(&version) => {}
            current => {
                let rollout = Rollout { version, streams: 1, first: at, last: at };
                let before = current.replace(Current { rollout, pushed, told: false });
                self.before = before.map(|before| before.rollout.version);
            }
        }
    }

    fn left(&mut self, version: Option<&str>) {
        self.streams -= 1;
        if let Some(current) = &mut self.current
            && Some(&*current.rollout.version) == version
        {
            current.rollout.streams -= 1;
        }
    }

    /// The rollout that has just reached the last stream.
    fn complete(&mut self) -> Option<Rollout> {
        let current = self.current.as_mut().filter(|current| current.pushed && !current.told)?;
        current.told = self.streams > 0 && current.rollout.streams == self.streams;
        current.told.then(|| current.rollout.clone())
    }
}

/// Rollouts that nobody asked for yet. Of more than these the latest are kept.
const MOST_UNTOLD: usize = 1 << 16;
