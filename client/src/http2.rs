//! HTTP/2 from the client's side, over any transport, as a service that gRPC stubs call.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::body::Body;
use tower::Service;

/// The driver of a connection: polled to its end, it sends what the [`Sender`]s are given. Requests under way
/// are answered also after its end.
pub(crate) type Connection<T> = http2::Connection<TokioIo<T>, Body, TokioExecutor>;

/// Sends requests over one connection, which all clones share; the connection ends when the last is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Sender(SendRequest<Body>);

impl Sender {
    /// Whether the connection has come to its end.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl Service<Request<Body>> for Sender {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    /// Always: requests wait inside the connection for the peer's stream limit.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// Speaks the preface. The caller drives the [`Connection`].
pub(crate) async fn handshake<T>(io: T) -> Result<(Sender, Connection<T>), hyper::Error>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(io))
        .await?;
    Ok((Sender(sender), connection))
}

/// Tells within half a minute that the peer's machine is gone without a word.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
