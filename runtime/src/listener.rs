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

use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    select,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{
    accept::accept_until,
    connection::{self, End, Limits},
    cores::Cores,
    peer::{Origin, Peer, UnixCredentials},
};

use capacity::Room;
use handshake::handshake;
use metrics::Refusal;

/// What is served, where, and within which bounds. Cheap to clone: clones share cores and bounds.
#[derive(Clone, Debug)]
pub struct Server {
    routes: Routes,
    limits: Limits,
    room: Room,
    cores: Cores,
}

impl Server {
    /// Serves `routes` on `cores`. Metrics are called `<process>_connections` and so on, and are registered
    /// now: install the recorder before.
    pub fn new(routes: Routes, limits: Limits, capacity: Capacity, cores: Cores, process: &str) -> Self {
        Self { routes: routes.prepare(), limits, room: Room::new(capacity, process), cores }
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

    /// The same over a Unix socket, without TLS, for the peers that `admits` lets in; others are closed at
    /// once.
    pub async fn serve_unix(
        &self,
        listener: UnixListener,
        admits: impl Fn(&UnixCredentials) -> bool + Send,
        stop: CancellationToken,
    ) {
        let take = |(stream, _)| {
            let admitted = UnixCredentials::of(&stream).ok().filter(&admits);
            let Some(credentials) = admitted else { return self.room.refuse(Refusal::Peer) };
            let Some(slot) = self.room.enter() else { return };
            let (server, stop) = (self.clone(), stop.clone());
            self.cores.deal(async move { slot.ended(server.unix(stream, credentials, stop).await) });
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
        let peer = Peer::new(Origin::Tcp(from));
        connection::serve(stream, peer, self.routes.clone(), &self.limits, &stop).await
    }

    /// One connection over a Unix socket, on its core.
    async fn unix(&self, stream: UnixStream, credentials: UnixCredentials, stop: CancellationToken) -> End {
        let Ok(stream) = unix_of_this_core(stream) else { return End::Broken };
        let peer = Peer::new(Origin::Unix(credentials));
        connection::serve(stream, peer, self.routes.clone(), &self.limits, &stop).await
    }
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
