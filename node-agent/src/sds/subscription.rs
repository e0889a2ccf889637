//! What one stream has asked for, and what it has been told.

use std::sync::Arc;

use super::{resource_name::ResourceName, secret::PublishedSecret};

/// The state of one SDS stream, of either protocol. Pure.
///
/// A name is owed an answer when its content is not what was last sent under it. Everything else follows:
/// an ACK changes nothing and is not answered; a NACK changes nothing either, so the rejected content is held
/// until there is other content; a stream is new, so a reconnect is answered whatever version it brings.
#[derive(Debug)]
pub(crate) struct Subscription {
    names: Vec<Subscribed>,
    nonces: Nonces,
}

#[derive(Debug)]
struct Subscribed {
    name: ResourceName,
    /// Version of the last content sent under this name.
    sent: Option<Arc<str>>,
}

/// What is to be sent now.
#[derive(Debug)]
pub(crate) struct Push {
    /// Unique, and never empty: an empty one makes some servers and clients go round in circles.
    pub(crate) nonce: String,
    /// In the order they were asked for.
    pub(crate) secrets: Vec<(ResourceName, Arc<PublishedSecret>)>,
}

impl Subscription {
    /// `stream` tells the nonces of this stream from those of any other.
    pub(crate) fn new(stream: u64) -> Self {
        Self { names: Vec::new(), nonces: Nonces { stream, requests: 0, sent: 0, rejected: 0 } }
    }

    /// Takes note of a request and says what its nonce answers.
    pub(crate) fn hear(&mut self, nonce: &str) -> Heard {
        self.nonces.hear(nonce)
    }

    /// Takes note that a response was rejected. False when this was said before or of no response of ours: one
    /// response is rejected once, however often the client says so.
    pub(crate) fn reject(&mut self, nonce: &str) -> bool {
        self.nonces.reject(nonce)
    }

    /// The names are these from now on. What was sent under those that stay is remembered.
    pub(crate) fn replace(&mut self, names: Vec<ResourceName>) {
        let mut before = std::mem::take(&mut self.names);
        for name in names {
            if self.names.iter().any(|known| known.name == name) {
                continue;
            }
            let sent = before.iter_mut().find(|known| known.name == name).and_then(|known| known.sent.take());
            self.names.push(Subscribed { name, sent });
        }
    }

    /// One more name. Asking again for a known one means that the client has lost it: it is owed an answer.
    pub(crate) fn subscribe(&mut self, name: ResourceName) {
        match self.names.iter_mut().find(|known| known.name == name) {
            Some(known) => known.sent = None,
            None => self.names.push(Subscribed { name, sent: None }),
        }
    }

    /// One name less. It need not be known.
    pub(crate) fn unsubscribe(&mut self, name: &str) {
        self.names.retain(|known| known.name.as_str() != name);
    }

    /// What is subscribed to.
    pub(crate) fn names(&self) -> impl Iterator<Item = &ResourceName> {
        self.names.iter().map(|known| &known.name)
    }

    /// State of the world: everything together, once there is content for each name that was never answered,
    /// and only if something is owed.
    pub(crate) fn push_together(&mut self, current: impl Contents) -> Option<Push> {
        let contents: Vec<_> = self.names.iter().map(|known| current.of(&known.name)).collect();
        let incomplete = self
            .names
            .iter()
            .zip(&contents)
            .any(|(known, content)| known.sent.is_none() && content.is_none());
        let owed = self.names.iter().zip(&contents).any(|(known, content)| known.is_owed(content.as_ref()));
        if incomplete || !owed { None } else { Some(self.send(contents)) }
    }

    /// Delta: what is owed, as soon as there is content for it.
    pub(crate) fn push_each(&mut self, current: impl Contents) -> Option<Push> {
        let owed =
            |known: &Subscribed| current.of(&known.name).filter(|content| known.is_owed(Some(content)));
        let contents: Vec<_> = self.names.iter().map(owed).collect();
        if contents.iter().all(Option::is_none) { None } else { Some(self.send(contents)) }
    }

    /// `contents` belong to the names, one each.
    fn send(&mut self, contents: Vec<Option<Arc<PublishedSecret>>>) -> Push {
        let mut secrets = Vec::with_capacity(contents.len());
        for (known, content) in self.names.iter_mut().zip(contents) {
            if let Some(content) = content {
                known.sent = Some(Arc::clone(content.version()));
                secrets.push((known.name.clone(), content));
            }
        }
        Push { nonce: self.nonces.next(), secrets }
    }
}

impl Subscribed {
    fn is_owed(&self, content: Option<&Arc<PublishedSecret>>) -> bool {
        content.is_some_and(|content| self.sent.as_ref() != Some(content.version()))
    }
}

/// What there is to send at this moment.
pub(crate) trait Contents {
    /// The content behind a name; `None` while there is none.
    fn of(&self, name: &ResourceName) -> Option<Arc<PublishedSecret>>;
}

impl<F: Fn(&ResourceName) -> Option<Arc<PublishedSecret>>> Contents for F {
    fn of(&self, name: &ResourceName) -> Option<Arc<PublishedSecret>> {
        self(name)
    }
}

/// What a request's nonce answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It says what the client wants now: it is the first of the stream, or knows the latest response.
    Current,
    /// It was written before the client saw the latest response, and another one will follow that did see it.
    Stale,
}

/// Numbers of the responses of one stream.
#[derive(Debug)]
struct Nonces {
    stream: u64,
    requests: u64,
    sent: u64,
    /// The latest response that the client rejected.
    rejected: u64,
}

impl Nonces {
    fn next(&mut self) -> String {
        self.sent += 1;
        self.written(self.sent)
    }

    fn hear(&mut self, nonce: &str) -> Heard {
        self.requests += 1;
        let latest = if self.sent == 0 { nonce.is_empty() } else { nonce == self.written(self.sent) };
        if self.requests == 1 || latest { Heard::Current } else { Heard::Stale }
    }

    fn reject(&mut self, nonce: &str) -> bool {
        let Some(number) = self.read(nonce).filter(|number| *number > self.rejected) else { return false };
        self.rejected = number;
        true
    }

    fn written(&self, number: u64) -> String {
        format!("{:016x}-{number}", self.stream)
    }

    fn read(&self, nonce: &str) -> Option<u64> {
        let number = nonce.rsplit_once('-').and_then(|(_, number)| number.parse().ok())?;
        (1..=self.sent).contains(&number).then_some(number).filter(|number| self.written(*number) == nonce)
    }
}

#[cfg(test)]
mod tests;
