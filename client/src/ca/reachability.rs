//! Whether the CA can be had, as the last event told.

use std::fmt;

/// The last that was heard of the CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reachability {
    /// Nothing yet: the first attempt to connect is under way.
    Unknown,
    /// Connected, and the last call was answered.
    Reachable,
    /// The last attempt to connect failed.
    Disconnected,
    /// Connected, but the last call got no answer, or nonsense.
    Failing,
}

/// As an operator reads it.
impl fmt::Display for Reachability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "not known yet",
            Self::Reachable => "reachable",
            Self::Disconnected => "no connection; the log says why",
            Self::Failing => "connected, and without an answer to the last request",
        })
    }
}

/// What happened to a connection or on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaEvent {
    /// There is somebody, who has served nothing yet.
    Connected,
    /// There is nobody who serves.
    ConnectFailed,
    /// Any answer, refusals and UNAVAILABLE included: each is about its own request.
    Answered,
    /// Silence, or nonsense.
    Unserved,
}

impl Reachability {
    /// A CA that accepts connections and answers nothing stays `Failing` through its reconnects: else each of
    /// them would wake all waiters for nothing.
    #[must_use]
    pub fn after(self, event: CaEvent) -> Self {
        match (event, self) {
            (CaEvent::Answered, _) => Self::Reachable,
            (CaEvent::Connected, Self::Failing) => Self::Failing,
            (CaEvent::Connected, _) => Self::Reachable,
            (CaEvent::ConnectFailed, _) | (CaEvent::Unserved, Self::Disconnected) => Self::Disconnected,
            (CaEvent::Unserved, _) => Self::Failing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CaEvent::*, Reachability::*};

    #[test]
    fn the_last_event_decides() {
        for (name, before, event, after) in [
            ("the first connection", Unknown, Connected, Reachable),
            ("nobody listens", Unknown, ConnectFailed, Disconnected),
            ("back again", Disconnected, Connected, Reachable),
            ("silent", Reachable, Unserved, Failing),
            ("silent, then connected anew", Failing, Connected, Failing),
            ("silent, then gone", Failing, ConnectFailed, Disconnected),
            ("silent, then answering", Failing, Answered, Reachable),
            ("a call that ends after the connection", Disconnected, Unserved, Disconnected),
        ] {
            assert_eq!(before.after(event), after, "{name}");
        }
    }
}
