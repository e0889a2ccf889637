//! `:authority` as h2 takes it, from clients that write the path of the socket there.
//!
//! gRPC's C core, and with it gRPC for Python and Envoy's `google_grpc`, sends `:authority: run%2Fagent.sock` over
//! a Unix socket. An authority has no `%` (RFC 3986 §3.2.2 knows it in names only, which h2 does not take), so h2
//! resets each of these streams before any code of ours runs. Nobody here reads the authority of a request: so each
//! `%` of it is made a `-` on its way to h2.
//!
//! That is done in place. Both characters are one octet as they are and six bits in HPACK's Huffman code, so that
//! lengths, frames and h2's table of headers stay in step, and nothing of them has to be kept here: what the table
//! holds is what h2 was given. `frames` finds the blocks of header fields, `fields` the values in them, `huffman`
//! the characters of a value; what they do not understand, they leave as it is for h2 to refuse.
//!
//! The first request decides: a connection whose first `:authority` has no `%` is read by h2 alone from then on.

mod fields;
mod frames;
mod huffman;
#[cfg(any(test, feature = "testing"))]
mod pieces;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, Join, ReadBuf, join},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use frames::Frames;
#[cfg(any(test, feature = "testing"))]
pub use pieces::given_to_h2;

/// The socket, from whose requests h2 accepts every authority that the core of gRPC sends.
pub(crate) fn mended(socket: UnixStream) -> Join<Mended<OwnedReadHalf>, OwnedWriteHalf> {
    let (read, write) = socket.into_split();
    join(Mended::new(read), write)
}

/// What is read of an HTTP/2 connection, from its first byte on. In the value of an `:authority` that is sent in
/// full, each `%` is a `-`; every other byte is as it came. At most one byte waits for the next to come.
pub(crate) struct Mended<R> {
    io: R,
    /// `None` once the connection has shown that it needs nothing.
    mending: Option<Box<Mending>>,
}

#[derive(Default)]
struct Mending {
    frames: Frames,
    /// Read and not yet passed on; without an allocation while nothing is.
    kept: BytesMut,
    /// So many of them are as they are to be.
    settled: usize,
}

impl<R> Mended<R> {
    pub(crate) fn new(io: R) -> Self {
        Self { io, mending: Some(Box::default()) }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Mended<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { io, mending } = &mut *self;
        let Some(now) = mending else { return Pin::new(io).poll_read(cx, buf) };
        while now.settled == 0 {
            let mut room = [0; READ_BYTES];
            let mut read = ReadBuf::new(&mut room);
            ready!(Pin::new(&mut *io).poll_read(cx, &mut read))?;
            now.take(read.filled());
            if read.filled().is_empty() {
                break;
            }
        }
        now.pass(buf);
        if now.is_over() {
            *mending = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl Mending {
    /// What was read; if that is nothing, the connection has ended, and what waited goes as it is.
    fn take(&mut self, read: &[u8]) {
        self.kept.extend_from_slice(read);
        self.settled = if read.is_empty() { self.kept.len() } else { self.frames.mend(&mut self.kept) };
    }

    fn pass(&mut self, buf: &mut ReadBuf<'_>) {
        let passed = self.settled.min(buf.remaining());
        if let Some(bytes) = self.kept.get(..passed) {
            buf.put_slice(bytes);
        }
        self.kept.advance(passed);
        self.settled -= passed;
        if self.kept.is_empty() {
            self.kept = BytesMut::new();
        }
    }

    fn is_over(&self) -> bool {
        self.kept.is_empty() && self.frames.are_over()
    }
}

/// Of a read while it is mended: the first request of a proxy is shorter.
const READ_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests;
