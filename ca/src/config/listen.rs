//! `[listen]`: where the CA is reached, and with how many cores.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    num::NonZeroUsize,
    thread,
};

use signet_runtime::config::Section;

/// Most serving cores: more than any machine we know, few enough that a typing error starts no thread storm.
const MAX_CORES: usize = 1024;

/// Addresses and cores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenConfig {
    /// `grpc`: the certificate service, over TLS. Default `0.0.0.0:15012`, the port that Istio clients
    /// expect.
    pub grpc: SocketAddr,
    /// `operations`: metrics, probes and the status page, plain HTTP. Default `0.0.0.0:15014`.
    pub operations: SocketAddr,
    /// `cores`: threads that serve. Default: as many as the process may use.
    pub cores: usize,
}

impl ListenConfig {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let all = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            grpc: section.optional("grpc", (Ipv4Addr::UNSPECIFIED, 15012).into()),
            operations: section.optional("operations", (Ipv4Addr::UNSPECIFIED, 15014).into()),
            cores: section.within("cores", all.min(MAX_CORES), 1..=MAX_CORES),
        }
    }

    /// Takes the port of the certificate service. Clients that connect wait until it is served.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn bind_grpc(&self) -> Result<TcpListener, BindError> {
        bind("grpc", self.grpc)
    }

    /// Takes the operations port.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn bind_operations(&self) -> Result<TcpListener, BindError> {
        bind("operations", self.operations)
    }

    /// Takes both ports for a moment, together: one address may be had only once.
    pub(super) fn judge(&self) -> Vec<BindError> {
        let ports = [self.bind_grpc(), self.bind_operations()];
        ports.into_iter().filter_map(Result::err).collect()
    }
}

/// A port that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}. Stop what uses it, or set `listen.{key}` to another address")]
pub struct BindError {
    key: &'static str,
    address: SocketAddr,
    source: io::Error,
}

impl BindError {
    /// The key of `[listen]` that names the address.
    pub(super) fn key(&self) -> &'static str {
        self.key
    }
}

fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|source| BindError { key, address, source })
}
