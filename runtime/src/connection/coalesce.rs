//! One write a turn: what HTTP/2 has to say in one turn of a connection leaves together.
//!
//! h2 writes and flushes frame by frame. With 64 answers ready, that is 64 TLS records and 64 system calls;
//! here they are a record and a call for each 16 KiB of them, and nothing waits longer than the turn.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_write_buf;

/// A socket that keeps what is written until the turn ends. Clones share it: one is written to, the other
/// ends the turns.
pub(super) struct Coalescing<T>(Arc<Mutex<Buffered<T>>>);

struct Buffered<T> {
    io: T,
    /// Empty, and without an allocation, between the turns of an idle connection.
    kept: BytesMut,
    flushed: bool,
}

impl<T> Clone for Coalescing<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Coalescing<T> {
    pub(super) fn new(io: T) -> Self {
        Self(Arc::new(Mutex::new(Buffered { io, kept: BytesMut::new(), flushed: true })))
    }

    fn buffered(&self) -> MutexGuard<'_, Buffered<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection over a [`Coalescing`] socket. Each turn of it ends with sending what it wrote.
pub(super) struct Turns<'a, C, T> {
    connection: Pin<&'a mut C>,
    socket: Coalescing<T>,
}

impl<'a, C, T> Turns<'a, C, T> {
    pub(super) fn new(connection: Pin<&'a mut C>, socket: Coalescing<T>) -> Self {
        Self { connection, socket }
    }

    pub(super) fn connection(&mut self) -> Pin<&mut C> {
        self.connection.as_mut()
    }
}

impl<C: Future, T: AsyncWrite + Unpin> Future for Turns<'_, C, T> {
    /// The connection's, or why the socket takes no more.
    type Output = io::Result<C::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let served = self.connection.as_mut().poll(cx);
        // Pending is no reason to wait: the socket wakes this task, and the next turn ends with what is left.
        match self.socket.buffered().poll_send(cx)? {
            Poll::Ready(()) | Poll::Pending => served.map(Ok),
        }
    }
}

impl<T: AsyncWrite + Unpin> Buffered<T> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.kept.is_empty() {
            if ready!(poll_write_buf(Pin::new(&mut self.io), cx, &mut self.kept))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        self.kept = BytesMut::new();
        if !self.flushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for room when as much is kept as may be.
    fn poll_keep(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.kept.len() >= MOST_KEPT_BYTES {
            ready!(self.poll_send(cx))?;
        }
        if self.kept.is_empty() {
            self.kept.reserve(MOST_KEPT_BYTES);
        }
        let before = self.kept.len();
        for slice in slices {
            let room = MOST_KEPT_BYTES - self.kept.len();
            self.kept.extend_from_slice(slice.get(..room).unwrap_or(slice));
        }
        self.flushed = false;
        Poll::Ready(Ok(self.kept.len() - before))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Coalescing<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.buffered().io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Coalescing<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.buffered().poll_keep(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.buffered().poll_keep(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing: the end of the turn flushes.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffered = self.buffered();
        ready!(buffered.poll_send(cx))?;
        Pin::new(&mut buffered.io).poll_shutdown(cx)
    }
}

/// Of a turn: as much as one TLS record holds (RFC 8446 §5.1).
const MOST_KEPT_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Waker};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter, DuplexStream, duplex};

    use super::*;

    /// It keeps what it is given until it is flushed, as TLS does.
    type Kept = BufWriter<DuplexStream>;

    /// A socket of which the kernel takes `room` bytes, and its other end.
    fn socket(room: usize) -> (Coalescing<Kept>, DuplexStream) {
        let (ours, theirs) = duplex(room);
        (Coalescing::new(BufWriter::with_capacity(1 << 20, ours)), theirs)
    }

    async fn end_turn(socket: &Coalescing<Kept>) {
        poll_fn(|cx| socket.buffered().poll_send(cx)).await.unwrap();
    }

    fn read_now(socket: &mut DuplexStream) -> Option<usize> {
        let mut bytes = [0; 64 << 10];
        let mut buf = ReadBuf::new(&mut bytes);
        let read = Pin::new(socket).poll_read(&mut Context::from_waker(Waker::noop()), &mut buf);
        read.is_ready().then(|| buf.filled().len())
    }

    #[tokio::test]
    async fn what_a_turn_writes_and_flushes_leaves_when_it_ends() {
        let (mut ours, mut theirs) = socket(64 << 10);
        for frame in [&b"head"[..], b"body", b"trailer"] {
            ours.write_all(frame).await.unwrap();
            ours.flush().await.unwrap();
        }
        assert_eq!(read_now(&mut theirs), None, "before the turn ends");

        end_turn(&ours).await;

        assert_eq!(read_now(&mut theirs), Some("headbodytrailer".len()));
        assert_eq!(ours.buffered().kept.capacity(), 0, "an idle connection keeps a buffer");
    }

    #[tokio::test]
    async fn a_turn_that_writes_much_sends_on_the_way_and_keeps_no_more_than_a_record() {
        let (mut ours, mut theirs) = socket(64 << 10);

        ours.write_all(&[7; 40 << 10]).await.unwrap();

        assert_eq!(ours.buffered().kept.len(), 8 << 10);
        assert_eq!(read_now(&mut theirs), Some(32 << 10));
    }

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_waited_for() {
        let (mut ours, mut theirs) = socket(1);
        let mut cx = Context::from_waker(Waker::noop());
        ours.write_all(&[7; 16 << 10]).await.unwrap();

        let more = Pin::new(&mut ours).poll_write(&mut cx, b"more");
        assert!(more.is_pending(), "{more:?}");
        assert!(ours.buffered().poll_send(&mut cx).is_pending());

        let mut all = [0; 16 << 10];
        let (read, ()) = tokio::join!(theirs.read_exact(&mut all), end_turn(&ours));
        read.unwrap();
    }

    #[tokio::test]
    async fn what_is_kept_leaves_before_the_socket_is_shut() {
        let (mut ours, mut theirs) = socket(64);
        ours.write_all(b"goodbye").await.unwrap();

        ours.shutdown().await.unwrap();

        let mut all = String::new();
        theirs.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "goodbye");
    }
}
