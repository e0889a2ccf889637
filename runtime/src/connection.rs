//! One HTTP/2 connection: from its first byte to its last, with a bound on everything in between.
//!
//! tonic's own server has no deadline for a silent client, ends an old connection without a GOAWAY and drains
//! without a bound; so its services are served over hyper here, the same over TLS and over Unix sockets. What
//! its server did for each request and they do not is restored by `requests`: the deadline and the
//! peer.

mod authority;
mod coalesce;
mod limits;
mod preface;
mod requests;
mod socket;

pub use limits::Limits;
pub use requests::{Deadline, Services};

#[cfg(any(test, feature = "testing"))]
pub use authority::given_to_h2;
pub(crate) use authority::mended;

use std::{
    error::Error,
    io::{self, ErrorKind},
    pin::pin,
};

use http::Extensions;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    select,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use coalesce::{Coalescing, Turns};
use requests::Requests;
use socket::Socket;

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// No TLS handshake within its deadline, or one that failed.
    Handshake,
    /// No HTTP/2 preface within its deadline, or something else in its place.
    Preface,
    /// The peer left as it should.
    Left,
    /// The peer no longer answered pings, or took nothing of what we wrote.
    Silent,
    /// The peer vanished, or broke a rule of HTTP/2 or a limit of ours.
    Broken,
    /// It reached its age, and its last requests were answered.
    Aged,
    /// The process is stopping, and its last requests were answered.
    Drained,
    /// Its requests did not end within the grace that age or a stop leaves them.
    Cut,
}

impl End {
    /// Every end there is, for metrics that must exist before they count.
    pub const ALL: [Self; 8] = [
        Self::Handshake,
        Self::Preface,
        Self::Left,
        Self::Silent,
        Self::Broken,
        Self::Aged,
        Self::Drained,
        Self::Cut,
    ];

    /// The end's name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Preface => "preface",
            Self::Left => "left",
            Self::Silent => "silent",
            Self::Broken => "broken",
            Self::Aged => "aged",
            Self::Drained => "drained",
            Self::Cut => "cut",
        }
    }
}

/// Serves one connection until the peer leaves, its age is over or `stop` is cancelled. In the last two cases
/// the peer is sent GOAWAY, which lets it open another connection without a failed request, and what is in
/// flight has [`Limits`]' grace to end.
///
/// Each request carries `known` as its extensions, [`Peer`](crate::peer::Peer) among them. A header list over
/// the limit is answered with status 431, and the connection goes on; one far over it (about 64 KiB and more,
/// whatever the limit) ends the connection.
pub async fn serve<T>(
    mut io: T,
    known: Extensions,
    services: impl Services,
    limits: &Limits,
    stop: &CancellationToken,
) -> End
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let begun = select! {
        begun = timeout(limits.preface, preface::read(&mut io)) => begun,
        () = stop.cancelled() => return End::Drained,
    };
    let Ok(Ok(())) = begun else { return End::Preface };
    let socket = Coalescing::new(Socket::new(io, limits.patience()));
    let requests = Requests::new(services, known, limits.request);
    let connection = pin!(limits.http2().serve_connection(TokioIo::new(socket.clone()), requests));
    let mut turns = Turns::new(connection, socket);
    let end = select! {
        served = &mut turns => return ended_by_peer(served),
        () = limits.aging() => End::Aged,
        () = stop.cancelled() => End::Drained,
    };
    turns.connection().graceful_shutdown(); // GOAWAY(2^31-1), ping, GOAWAY(last stream)
    if timeout(limits.grace, turns).await.is_ok() { end } else { End::Cut }
}

fn ended_by_peer(served: io::Result<hyper::Result<()>>) -> End {
    match served {
        Ok(Ok(())) => End::Left,
        Ok(Err(error)) if error.is_timeout() => End::Silent,
        Ok(Err(error)) => {
            let io = error.source().and_then(|source| source.downcast_ref());
            io.map_or(End::Broken, ended_by_socket)
        }
        Err(error) => ended_by_socket(&error),
    }
}

/// Out of patience, which is [`Socket`]'s own error, or torn.
fn ended_by_socket(error: &io::Error) -> End {
    if error.kind() == ErrorKind::TimedOut { End::Silent } else { End::Broken }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wire;
