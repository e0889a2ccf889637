//! A connection that comes in pieces, and what h2 is given of it: for tests and for fuzzing.

#![allow(clippy::panic, reason = "a reader that waits for nothing has failed its test")]

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, ReadBuf};

use super::Mended;

/// All that h2 is given of a connection of these octets, which are read in pieces of at most `piece` and then end.
pub fn given_to_h2(octets: &[u8], piece: usize) -> Vec<u8> {
    let room = piece.clamp(1, 4096);
    read(octets.chunks(room), room)
}

/// The same of any pieces, with so much room for each read.
pub(super) fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, room: usize) -> Vec<u8> {
    let mut reader = Mended::new(Pieces { ends: true, ..Pieces::of(pieces) });
    let mut cx = Context::from_waker(Waker::noop());
    let (mut all, mut octets) = (Vec::new(), vec![0; room]);
    loop {
        let mut buf = ReadBuf::new(&mut octets);
        match Pin::new(&mut reader).poll_read(&mut cx, &mut buf) {
            Poll::Ready(Ok(())) if buf.filled().is_empty() => return all,
            Poll::Ready(Ok(())) => all.extend_from_slice(buf.filled()),
            Poll::Ready(Err(_)) | Poll::Pending => panic!("everything is there, and it waits"),
        }
    }
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
