//! What h2 makes of the octets of a connection, read by [`Mended`] or without it.

use std::{pin::pin, task::Waker};

use http::Request;

use super::*;
use crate::connection::wire::{EMPTY_SETTINGS, PREFACE};

/// The requests that h2 accepts of a connection with these frames, in their order, and how it ended the
/// connection, if it did.
pub(super) fn accepted(frames: &[u8]) -> (Vec<Request<()>>, Option<h2::Error>) {
    accepted_from(Mended::new(Pieces::of([&connection(frames)[..]])))
}

/// The same where nothing stands before h2.
pub(super) fn accepted_as_it_is(frames: &[u8]) -> (Vec<Request<()>>, Option<h2::Error>) {
    accepted_from(Pieces::of([&connection(frames)[..]]))
}

fn accepted_from(reader: impl AsyncRead + Unpin) -> (Vec<Request<()>>, Option<h2::Error>) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut shaken = pin!(h2::server::handshake(join(reader, tokio::io::sink())));
    let Poll::Ready(Ok(mut connection)) = shaken.as_mut().poll(&mut cx) else { panic!("no handshake") };
    let mut requests = Vec::new();
    loop {
        match connection.poll_accept(&mut cx) {
            Poll::Ready(Some(Ok((request, _)))) => requests.push(request.map(drop)),
            Poll::Ready(Some(Err(error))) => return (requests, Some(error)),
            Poll::Ready(None) | Poll::Pending => return (requests, None),
        }
    }
}

/// A connection of these frames, from its first octet.
pub(super) fn connection(frames: &[u8]) -> Vec<u8> {
    [PREFACE, EMPTY_SETTINGS, frames].concat()
}
