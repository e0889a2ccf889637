//! The TLS handshake, within its budget.

use std::{io, sync::Arc};

use rustls::{ServerConfig, server::Acceptor};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

/// Completes a handshake. It waits its turn in `budget` only when the client's hello is there: a client that
/// says nothing, or says it slowly, takes nobody's turn.
///
/// Deadlines are the caller's. A client that stops half-way keeps its turn until then.
///
/// # Errors
/// The connection ended, or the client has no version, cipher or protocol in common with us.
pub(super) async fn handshake<T>(
    io: T,
    tls: Arc<ServerConfig>,
    budget: &Semaphore,
) -> io::Result<TlsStream<T>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let hello = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
    let _turn = budget.acquire().await.map_err(io::Error::other)?;
    hello.into_stream(tls).await
}
