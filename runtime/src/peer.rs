//! Who is at the other end of a connection, as far as the operating system knows.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::net::UnixStream;

/// The other end of the connection that a request came by: an extension of every request served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    connection: ConnectionId,
    origin: Origin,
}

/// Where a connection came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Over TCP, from this address.
    Tcp(SocketAddr),
    /// Over a Unix socket, from a process with these credentials.
    Unix(UnixCredentials),
}

/// Tells the connections of this process apart; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u64);

/// The process that connected to a Unix socket, as the kernel noted it at that moment (`SO_PEERCRED`,
/// unix(7)).
///
/// The process may have passed the socket on or died since, and its pid may be another's by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnixCredentials {
    pid: Option<i32>,
    uid: u32,
    gid: u32,
}

impl Peer {
    /// The peer of a new connection.
    pub fn new(origin: Origin) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { connection: ConnectionId(NEXT.fetch_add(1, Ordering::Relaxed)), origin }
    }

    /// The connection itself.
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Where it came from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The credentials, if it came over a Unix socket.
    pub fn unix(&self) -> Option<&UnixCredentials> {
        match &self.origin {
            Origin::Unix(credentials) => Some(credentials),
            Origin::Tcp(_) => None,
        }
    }
}

impl UnixCredentials {
    /// Credentials as they are given; `pid` is absent when the peer is in a pid namespace that we cannot see.
    pub fn new(pid: Option<i32>, uid: u32, gid: u32) -> Self {
        Self { pid: pid.filter(|pid| *pid > 0), uid, gid }
    }

    /// The credentials of the process that connected `stream`.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        stream.peer_cred().map(|peer| Self::new(peer.pid(), peer.uid(), peer.gid()))
    }

    /// Its process id in our pid namespace.
    pub fn pid(&self) -> Option<i32> {
        self.pid
    }

    /// Its effective user id.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Its effective group id.
    pub fn gid(&self) -> u32 {
        self.gid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_credentials_are_those_of_the_process_at_the_other_end() {
        let (stream, _other) = UnixStream::pair().unwrap();

        let credentials = UnixCredentials::of(&stream).unwrap();

        assert_eq!(credentials.pid(), i32::try_from(std::process::id()).ok());
        assert_eq!(credentials.uid(), rustix::process::geteuid().as_raw());
        assert_eq!(credentials.gid(), rustix::process::getegid().as_raw());
    }

    #[test]
    fn a_pid_that_we_cannot_see_is_absent_and_not_zero() {
        assert_eq!(UnixCredentials::new(Some(0), 1, 1).pid(), None);
    }

    #[test]
    fn two_connections_from_one_place_are_told_apart() {
        let origin = Origin::Tcp(([127, 0, 0, 1], 1).into());

        assert_ne!(Peer::new(origin).connection(), Peer::new(origin).connection());
    }
}
