//! What h2 makes of the octets of a connection, read by [`Mended`] or without it.

use std::{collections::VecDeque, pin::pin, task::Waker};

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

/// All that is read of a connection that comes in these pieces and then ends.
pub(super) fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, room: usize) -> Vec<u8> {
    let mut reader = Mended::new(Pieces { ends: true, ..Pieces::of(pieces) });
    let mut cx = Context::from_waker(Waker::noop());
    let (mut all, mut octets) = (Vec::new(), vec![0; room]);
    loop {
        let mut buf = ReadBuf::new(&mut octets);
        assert!(Pin::new(&mut reader).poll_read(&mut cx, &mut buf).is_ready());
        if buf.filled().is_empty() {
            return all;
        }
        all.extend_from_slice(buf.filled());
    }
}

/// A connection of these frames, from its first octet.
pub(super) fn connection(frames: &[u8]) -> Vec<u8> {
    [PREFACE, EMPTY_SETTINGS, frames].concat()
}

/// A socket that gives one piece for each read. Then it ends, or stays as it is for ever.
pub(super) struct Pieces {
    left: VecDeque<Vec<u8>>,
    ends: bool,
}

impl Pieces {
    pub(super) fn of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
        Self { left: pieces.map(<[u8]>::to_vec).collect(), ends: false }
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let ends = self.ends;
        let Some(piece) = self.left.front_mut() else {
            return if ends { Poll::Ready(Ok(())) } else { Poll::Pending };
        };
        let read: Vec<_> = piece.drain(..piece.len().min(buf.remaining())).collect();
        if piece.is_empty() {
            self.left.pop_front();
        }
        buf.put_slice(&read);
        Poll::Ready(Ok(()))
    }
}
