//! Accepting: how many connections there may be, who gets in, and which core serves them.
//!
//! The control runtime accepts and deals; a core does everything else, the TLS handshake included. Handshakes
//! have a budget of their own, so that a process whose cores are busy with those who are in still lets others
//! in, and a flood of newcomers leaves room for those who are in.

mod capacity;
mod handshake;
mod metrics;

pub use capacity::Capacity;

use std::{fmt, io, net::SocketAddr, sync::Arc};

use http::Extensions;
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    select,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    accept::accept_until,
    connection::{self, End, Limits, Services},
    cores::Cores,
    peer::{Origin, Peer, UnixCredentials},
};

use capacity::Room;
use handshake::handshake;
use metrics::Refusal;

/// What is served, where, and within which bounds. Cheap to clone: clones share cores and bounds.
#[derive(Clone, Debug)]
pub struct Server<S> {
    services: S,
    limits: Limits,
    room: Room,
    cores: Cores,
}

impl<S: Services> Server<S> {
    /// Serves `services` on `cores`. Metrics are called `<process>_connections` and so on, and are registered
    /// now: install the recorder before.
    pub fn new(services: S, limits: Limits, capacity: Capacity, cores: Cores, process: &str) -> Self {
        Self { services, limits, room: Room::new(capacity, process), cores }
    }

    /// Other services on the same cores, within the same bounds: what is open there counts here.
    #[must_use]
    pub fn with_services(&self, services: S) -> Self {
        Self { services, ..self.clone() }
    }

    /// Accepts TLS connections until `stop` is cancelled, then closes the listener. The connections are told
    /// to end by the same token; [`Cores::drain`] waits for them.
    pub async fn serve_tls(&self, listener: TcpListener, tls: Arc<ServerConfig>, stop: CancellationToken) {
        let take = |(stream, address)| {
            let Some(slot) = self.room.enter() else { return };
            let (server, tls, stop) = (self.clone(), Arc::clone(&tls), stop.clone());
            self.cores.deal(async move { slot.ended(server.tls(stream, address, tls, stop).await) });
        };
        accept_until(&stop, |cx| listener.poll_accept(cx), take).await;
    }

    /// The same over a Unix socket, without TLS, for the peers that `admit` lets in; others are closed at
    /// once. What it lets them in with is an extension of each of their requests beside [`Peer`], and is held
    /// until the connection has ended.
    pub async fn serve_unix<G: Clone + Send + Sync + 'static>(
        &self,
        listener: UnixListener,
        admit: impl Fn(&UnixCredentials) -> Option<G> + Send + Sync,
        stop: CancellationToken,
    ) {
        let take = |(stream, _)| {
            let credentials = UnixCredentials::of(&stream).ok();
            let admitted = credentials.and_then(|credentials| Some((credentials, admit(&credentials)?)));
            let Some((credentials, guard)) = admitted else { return self.room.refuse(Refusal::Peer) };
            let Some(slot) = self.room.enter() else { return };
            let mut known = known(Origin::Unix(credentials));
            known.insert(guard);
            let (server, stop) = (self.clone(), stop.clone());
            self.cores.deal(async move { slot.ended(server.unix(stream, known, stop).await) });
        };
        accept_until(&stop, |cx| listener.poll_accept(cx), take).await;
    }

    /// One connection over TLS, on its core.
    async fn tls(
        &self,
        tcp: TcpStream,
        from: SocketAddr,
        tls: Arc<ServerConfig>,
        stop: CancellationToken,
    ) -> End {
        let Ok(tcp) = tcp_of_this_core(tcp) else { return End::Broken };
        let shaken = select! {
            shaken = timeout(self.limits.handshake, handshake(tcp, tls, self.room.handshakes())) => shaken,
            () = stop.cancelled() => return End::Drained,
        };
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return unshaken(from, &error),
            Err(elapsed) => return unshaken(from, &elapsed),
        };
        connection::serve(stream, known(Origin::Tcp(from)), self.services.clone(), &self.limits, &stop).await
    }

    /// One connection over a Unix socket, on its core.
    async fn unix(&self, stream: UnixStream, known: Extensions, stop: CancellationToken) -> End {
        let Ok(stream) = unix_of_this_core(stream) else { return End::Broken };
        connection::serve(connection::mended(stream), known, self.services.clone(), &self.limits, &stop).await
    }
}

/// What the requests of a new connection carry.
fn known(origin: Origin) -> Extensions {
    let mut known = Extensions::new();
    known.insert(Peer::new(origin));
    known
}

/// Only for who looks for it (`debug`): strangers cause these.
fn unshaken(peer: SocketAddr, error: &dyn fmt::Display) -> End {
    tracing::debug!(%peer, %error, "a TLS handshake failed");
    End::Handshake
}

/// The socket, with this runtime's event queue in place of the one that accepted it.
fn tcp_of_this_core(accepted: TcpStream) -> io::Result<TcpStream> {
    accepted.set_nodelay(true)?;
    TcpStream::from_std(accepted.into_std()?)
}

fn unix_of_this_core(accepted: UnixStream) -> io::Result<UnixStream> {
    UnixStream::from_std(accepted.into_std()?)
}

#[cfg(test)]
mod tests;
