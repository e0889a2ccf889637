//! What is to be done for one entry of the cache.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use signet_client::TokenHash;
use tokio::time::Instant;
use tokio_util::time::delay_queue;

use super::{
    queue::{Kind, Turn},
    trust::Held,
};
use crate::{
    moment::Moment,
    peer::PeerKey,
    schedule::RotationSchedule,
    secret_cache::{Entry, SecretKey},
};

/// An entry as the renewer sees it.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) entry: Arc<Entry>,
    pub(super) peer: PeerKey,
    pub(super) schedule: RotationSchedule,
    pub(super) stage: Stage,
    pub(super) timer: Option<delay_queue::Key>,
    /// Whether the CA has ever granted anything to this credential.
    pub(super) proven: bool,
    /// Until when the CA's refusal of this very token counts, unless a stream shows it anew.
    pub(super) refused_until: Option<Instant>,
    /// Whether its streams were sent for a fresh token since what is held was issued.
    pub(super) recalled: bool,
    /// Whether the last attempt found no CA, so that its return is worth another.
    pub(super) found_no_ca: bool,
    /// The token that the CA was shown last, while it may hold something for it.
    pub(super) shown: Option<TokenHash>,
    /// What is served, but for its key.
    pub(super) held: Option<Held>,
}

/// Who has the next word on an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its timer, or a stream.
    Resting,
    /// The queue.
    Ready,
    /// The CA.
    Asking,
    /// Its streams are to be recalled as soon as it is their turn.
    Recalling,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing for so long.
    Sleep(Duration),
    /// Ask the CA.
    Ask,
    /// The token can't renew what ends then: get the proxy to bring another.
    Recall(SystemTime),
    /// The token can get nothing, and there is nothing.
    GiveUp,
    /// Nobody will miss it.
    Forget,
}

impl Work {
    pub(super) fn new(entry: Arc<Entry>, peer: PeerKey, now: Instant) -> Self {
        Self {
            entry,
            peer,
            schedule: RotationSchedule::starting(now),
            stage: Stage::Resting,
            timer: None,
            proven: false,
            refused_until: None,
            recalled: false,
            found_no_ca: false,
            shown: None,
            held: None,
        }
    }

    pub(super) fn step(&self, now: Moment) -> Step {
        let serves_until = self.schedule.serves_until(now.wall);
        let left = |end: SystemTime| end.duration_since(now.wall).ok().filter(|left| !left.is_zero());
        if !self.entry.is_wanted() {
            let token_ends = self.held.as_ref().and_then(|held| held.token_ends);
            let kept_until = serves_until.map(|end| token_ends.map_or(end, |token| token.min(end)));
            return kept_until.and_then(left).map_or(Step::Forget, Step::Sleep);
        }
        let wait = self.schedule.wait(now);
        if !wait.is_zero() {
            return Step::Sleep(serves_until.and_then(left).map_or(wait, |left| left.min(wait)));
        }
        match serves_until {
            _ if self.token_is_of_use(now) => Step::Ask,
            Some(end) => Step::Recall(end),
            None => Step::GiveUp,
        }
    }

    pub(super) fn token_is_of_use(&self, now: Moment) -> bool {
        !self.is_refused(now) && !self.entry.credential().is_over(now.wall)
    }

    /// Whether the CA's refusal stands. While an SVID serves it stands for good: the proxy is asked for a fresh
    /// token, and the old one is worth no more calls.
    pub(super) fn is_refused(&self, now: Moment) -> bool {
        let serves = || self.schedule.serves_until(now.wall).is_some();
        self.refused_until.is_some_and(|until| until > now.timer || serves())
    }

    /// The CA that was not there is back.
    pub(super) fn wake(&mut self, now: Instant) -> SecretKey {
        self.found_no_ca = false;
        self.schedule.retry_now(now);
        self.entry.key().clone()
    }

    pub(super) fn turn(&self) -> Turn {
        let kind = if self.proven { Kind::Renewal } else { Kind::First };
        Turn { key: self.entry.key().clone(), peer: self.peer.clone(), kind }
    }
}
