//! What the renewer has not heard yet.

use std::{
    collections::{HashMap, VecDeque, hash_map},
    sync::Arc,
};

use super::{Entry, SecretKey};
use crate::peer::PeerKey;

/// What the renewer must know of.
#[derive(Debug)]
pub(crate) enum Event {
    /// Somebody wants this entry's SVID, or did a moment ago, on this peer's account.
    Wanted(Arc<Entry>, PeerKey),
    /// Nobody does any more.
    Left(SecretKey),
}

/// At most one event for each key, so that a stream that comes and goes faster than the renewer hears takes no
/// room. In the order in which the keys first came.
#[derive(Debug, Default)]
pub(super) struct News {
    order: VecDeque<SecretKey>,
    events: HashMap<SecretKey, Event>,
}

impl News {
    /// The latest interest counts. That it has ended since, the entry itself tells.
    pub(super) fn note(&mut self, event: Event) {
        let key = match &event {
            Event::Wanted(entry, _) => entry.key(),
            Event::Left(key) => key,
        };
        match self.events.entry(key.clone()) {
            hash_map::Entry::Vacant(place) => {
                self.order.push_back(place.key().clone());
                place.insert(event);
            }
            hash_map::Entry::Occupied(mut place) => {
                if matches!(event, Event::Wanted(..)) {
                    place.insert(event);
                }
            }
        }
    }

    /// Takes the oldest.
    pub(super) fn next(&mut self) -> Option<Event> {
        self.order.pop_front().and_then(|key| self.events.remove(&key))
    }

    /// How many keys there is news of.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}
