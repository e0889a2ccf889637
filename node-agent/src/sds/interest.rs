//! A stream's interest in the SVID of whoever opened it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::Stream;
use signet_identity::SpiffeId;
use tokio::time::{Sleep, sleep};
use tokio_stream::wrappers::WatchStream;

use crate::{
    peer::PeerKey,
    secret_cache::{Credential, Lease, SecretCache, SvidState},
    trouble::{Trouble, Withheld},
};

/// Who opened a stream, and what it shows for itself.
#[derive(Debug)]
pub(crate) struct Asker {
    /// As the kernel says.
    pub(crate) uid: u32,
    /// On whose account the stream is.
    pub(crate) peer: PeerKey,
    /// `None`: nothing was shown, which is enough for roots.
    pub(crate) credential: Option<Credential>,
}

impl Asker {
    /// An interest in its SVID, or why it cannot have one.
    pub(super) fn subscribe(&self, cache: &SecretCache) -> Interest {
        let lease = match &self.credential {
            Some(credential) => cache.subscribe(credential, self.uid, self.peer.clone()),
            None => Err(Withheld::again(Trouble::NoToken.into(), NO_TOKEN_COUNTS_AS)),
        };
        match lease {
            Ok(lease) => {
                Interest::Leased(Box::new(Leased { state: lease.now(), states: lease.states(), lease }))
            }
            Err(withheld) => {
                let lapse = withheld.stands_for().map(|time| Box::pin(sleep(time)));
                Interest::Refused { withheld, lapse }
            }
        }
    }
}

/// What the stream knows of the SVID.
#[derive(Debug, Default)]
pub(super) enum Interest {
    /// Nothing, and it does not ask.
    #[default]
    None,
    /// That there is none to be had.
    Refused {
        withheld: Withheld,
        /// Until asking again may fare better; `None`: it never will.
        lapse: Option<Pin<Box<Sleep>>>,
    },
    /// What the cache says.
    Leased(Box<Leased>),
}

#[derive(Debug)]
pub(super) struct Leased {
    state: SvidState,
    states: WatchStream<SvidState>,
    lease: Lease,
}

impl Interest {
    /// Takes in what has changed since, and asks to be woken at the next change.
    pub(super) fn poll_news(&mut self, context: &mut Context<'_>) {
        if let Self::Leased(leased) = self {
            while let Poll::Ready(Some(state)) = Pin::new(&mut leased.states).poll_next(context) {
                leased.state = state;
            }
        }
    }

    /// What there is.
    pub(super) fn state(&self) -> Option<&SvidState> {
        match self {
            Self::Leased(leased) => Some(&leased.state),
            Self::None | Self::Refused { .. } => None,
        }
    }

    /// Whose SVID it is or will be, as far as is known.
    pub(super) fn identity(&self) -> Option<&SpiffeId> {
        self.state().and_then(|state| state.identity.as_ref())
    }

    /// Why there is nothing.
    pub(super) fn withheld(&self) -> Option<&Withheld> {
        match self {
            Self::None => None,
            Self::Refused { withheld, .. } => Some(withheld),
            Self::Leased(leased) if leased.state.secret.is_some() => None,
            Self::Leased(leased) => leased.state.trouble.as_ref(),
        }
    }

    /// Whether the stream should come back with a fresh token.
    pub(super) fn is_recalled(&self) -> bool {
        matches!(self, Self::Leased(leased) if leased.lease.is_recalled(&leased.state))
    }

    /// Whether to ask now: nothing was asked for yet, or the refusal no longer stands. Else asks to be woken when
    /// it does not.
    pub(super) fn is_open(&mut self, context: &mut Context<'_>) -> bool {
        match self {
            Self::None => true,
            Self::Refused { lapse, .. } => {
                lapse.as_mut().is_some_and(|lapse| lapse.as_mut().poll(context).is_ready())
            }
            Self::Leased(_) => false,
        }
    }
}

/// A proxy that is configured without a token stays so until somebody mends it: it is held for 4 s.
const NO_TOKEN_COUNTS_AS: u32 = 3;
