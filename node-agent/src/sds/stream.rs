//! One SDS stream, polled by hand: no task of its own, so ten thousand of them cost little.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Stream, StreamExt};
use tokio::time::{Sleep, sleep};
use tokio_stream::wrappers::WatchStream;
use tonic::Status;

use super::{
    fault::RequestFault,
    interest::{Asker, Interest},
    peers::Seat,
    protocol::{Protocol, Rejection},
    resource_name::{Meaning, ResourceName},
    subscription::Subscription,
};
use crate::{
    metrics::{self, Content},
    secret_cache::{KnownRoots, RootsCome, SecretCache},
};

/// The responses of one stream. `R` are its requests.
///
/// It is polled when the transport can take another response: a slow reader gets the newest content when it
/// reads again, and costs nobody else anything.
pub(crate) struct SecretStream<P: Protocol, R> {
    requests: R,
    asker: Asker,
    cache: SecretCache,
    seat: Seat,
    subscription: Subscription,
    interest: Interest,
    roots: KnownRoots,
    all_roots: WatchStream<KnownRoots>,
    /// Runs while there is nothing to wait for but the end.
    closing: Option<Pin<Box<Sleep>>>,
    ended: bool,
    protocol: std::marker::PhantomData<fn() -> P>,
}

/// How a stream ends: well, or with a status.
type End = Result<(), Status>;

impl<P, R> SecretStream<P, R>
where
    P: Protocol,
    R: Stream<Item = Result<P::Request, Status>> + Unpin,
{
    /// A stream that has heard nothing yet.
    pub(crate) fn new(requests: R, asker: Asker, cache: SecretCache, seat: Seat) -> Self {
        Self {
            requests,
            asker,
            seat,
            subscription: Subscription::new(fastrand::u64(..)),
            interest: Interest::None,
            roots: KnownRoots::default(),
            all_roots: WatchStream::new(cache.roots()),
            cache,
            closing: None,
            ended: false,
            protocol: std::marker::PhantomData,
        }
    }

    /// Why there is no answer yet.
    pub(crate) fn status(&self) -> Status {
        match self.interest.withheld() {
            Some(withheld) => withheld.why().status(),
            None => Status::unavailable("no answer from the CA yet; it is asked again by itself"),
        }
    }

    fn advance(&mut self, context: &mut Context<'_>) -> Poll<Result<P::Response, End>> {
        self.read_requests(context).map_or(Ok(()), Err)?;
        self.poll_roots(context);
        self.choose_interest(context);
        self.interest.poll_news(context);
        self.check_names().map_err(|fault| Err(refuse(fault)))?;
        if let Some(response) = self.push() {
            return Poll::Ready(Ok(response));
        }
        self.poll_end(context).map(Err)
    }

    /// Reads what the proxy has sent; `Some` when it, or what it sent, ends the stream.
    fn read_requests(&mut self, context: &mut Context<'_>) -> Option<End> {
        for _ in 0..MOST_REQUESTS_AT_ONCE {
            match self.requests.poll_next_unpin(context) {
                Poll::Pending => return None,
                Poll::Ready(None) => return Some(Ok(())),
                Poll::Ready(Some(Err(status))) => {
                    return Some(Err(RequestFault::of_unread(&status).map_or(status, refuse)));
                }
                Poll::Ready(Some(Ok(request))) => {
                    match P::receive(&mut self.subscription, request, self.cache.trust_domain()) {
                        Ok(rejection) => self.note_rejection(rejection),
                        Err(fault) => return Some(Err(refuse(fault))),
                    }
                }
            }
        }
        // Others have a turn before the rest is read.
        context.waker().wake_by_ref();
        None
    }

    fn note_rejection(&self, rejection: Option<Rejection>) {
        let Some(Rejection { reason }) = rejection else { return };
        metrics::rejected();
        let Some(suppressed) = self.seat.may_log_rejection() else { return };
        tracing::warn!(
            reason,
            suppressed,
            spiffe_id = self.interest.identity().map(tracing::field::display),
            peer = ?self.asker.peer,
            last_sent = self.seat.last_sent(),
            "a proxy rejected a secret and keeps what it had; any of those last sent may be at fault"
        );
    }

    fn poll_roots(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Some(roots)) = self.all_roots.poll_next_unpin(context) {
            self.roots = roots;
        }
    }

    /// Whoever asks for a certificate has an interest in the SVID. So has whoever asks for roots while none are
    /// known, if the CA tells them with an SVID only; its stream is not ended for want of one.
    /// A refusal that no longer stands is asked about again.
    fn choose_interest(&mut self, context: &mut Context<'_>) {
        let needs_svid = self.roots.bundle.is_none() && self.roots.come == RootsCome::WithSvids;
        if self.wants_svid() || needs_svid && self.subscription.names().next().is_some() {
            while self.interest.is_open(context) {
                self.interest = self.asker.subscribe(&self.cache);
            }
        } else {
            self.interest = Interest::None;
        }
    }

    fn wants_svid(&self) -> bool {
        self.subscription.names().any(ResourceName::is_svid)
    }

    fn check_names(&self) -> Result<(), RequestFault> {
        let Some(own) = self.interest.identity() else { return Ok(()) };
        for name in self.subscription.names() {
            if let Meaning::SvidOf(asked) = name.meaning()
                && asked != own
            {
                return Err(RequestFault::NotYours { asked: asked.clone(), own: own.clone() });
            }
        }
        Ok(())
    }

    fn push(&mut self) -> Option<P::Response> {
        let (roots, state) = (self.roots.bundle.as_ref(), self.interest.state());
        let svid = state.and_then(|state| state.secret.as_ref());
        let current = |name: &ResourceName| match name.meaning() {
            Meaning::Bundle => roots.cloned(),
            // Another's name was refused above, once it was known whose SVID this is.
            Meaning::OwnSvid | Meaning::SvidOf(_) => svid.cloned(),
        };
        let push = P::push(&mut self.subscription, current)?;
        self.seat.sent(&push);
        let has_svid = push.secrets.iter().any(|(name, _)| name.is_svid());
        metrics::pushed(if has_svid { Content::Svid } else { Content::Bundle });
        Some(P::response(push))
    }

    /// Ends the stream when its token can do no more, or its wait is over.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<End> {
        // What there is was sent before, so whoever goes has got it.
        if self.interest.is_recalled() {
            return Poll::Ready(Ok(()));
        }
        let withheld = self.interest.withheld().filter(|_| self.wants_svid());
        let Some((withheld, hold)) = withheld.and_then(|withheld| Some((withheld, withheld.hold()?))) else {
            self.closing = None;
            return Poll::Pending;
        };
        let closing = self.closing.get_or_insert_with(|| Box::pin(sleep(hold)));
        closing.as_mut().poll(context).map(|()| {
            metrics::refused_stream(withheld.why().outcome());
            Err(withheld.why().status())
        })
    }
}

impl<P, R> Stream for SecretStream<P, R>
where
    P: Protocol,
    R: Stream<Item = Result<P::Request, Status>> + Unpin,
{
    type Item = Result<P::Response, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self.get_mut();
        if stream.ended {
            return Poll::Ready(None);
        }
        stream.advance(context).map(|next| {
            stream.ended = next.is_err();
            match next {
                Ok(response) => Some(Ok(response)),
                Err(end) => end.err().map(Err),
            }
        })
    }
}

fn refuse(fault: RequestFault) -> Status {
    let status = Status::from(fault);
    metrics::refused_request(status.code());
    status
}

/// A proxy sends two requests a response; whoever sends more at once waits for the others' turn.
const MOST_REQUESTS_AT_ONCE: usize = 4;

#[cfg(test)]
mod tests;
