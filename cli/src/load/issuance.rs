//! Requests for certificates, over connections that are kept or each over its own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use signet_client::{CaClient, CaEndpoint, CaError, EndpointError, Issued, IstioCa, Outage, Token};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::alarm::Alarm;
use super::arrivals::Arrivals;
use super::ring::Ring;
use super::{Ledger, Tally};

/// What is asked for, in turn.
#[derive(Debug)]
pub struct Requests {
    tokens: Ring<Token>,
    csrs: Ring<String>,
}

impl Requests {
    /// Each request shows the next token and the next CSR; after the last comes the first.
    pub fn new(tokens: Vec<Token>, csrs: Vec<String>) -> Result<Self> {
        Ok(Self {
            tokens: Ring::new(tokens).context("a load needs a token")?,
            csrs: Ring::new(csrs).context("a load needs a CSR")?,
        })
    }
}

/// What the requests travel on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connections {
    /// So many, at least one, kept up as an agent keeps its own.
    Kept(usize),
    /// A new one for each request: TCP, TLS, HTTP/2.
    Fresh,
}

/// When a load has asked enough.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// This is over. Requests in flight are still waited for.
    Passed(Duration),
    /// So many requests have been made.
    Made(u64),
}

/// A load on one CA. What is asked goes on from load to load where the last one ended, so that no token is shown twice
/// while there are others. Dropping it cuts its connections.
pub struct Issuance {
    requests: Requests,
    turns: AtomicU64,
    line: Line,
}

enum Line {
    Kept(Ring<Arc<dyn CaClient>>),
    Fresh(CaEndpoint),
}

impl Issuance {
    /// Starts to connect, on the runtime that this is called from.
    pub fn new(endpoint: CaEndpoint, connections: Connections, requests: Requests) -> Result<Arc<Self>> {
        let connect = || Ok::<Arc<dyn CaClient>, EndpointError>(Arc::new(IstioCa::new(endpoint.clone())?));
        let line = match connections {
            Connections::Kept(count) => {
                let clients = (0..count).map(|_| connect()).collect::<Result<Vec<_>, _>>()?;
                Line::Kept(Ring::new(clients).context("a load needs a connection")?)
            }
            Connections::Fresh => {
                connect()?;
                Line::Fresh(endpoint)
            }
        };
        Ok(Arc::new(Self { requests, turns: AtomicU64::new(0), line }))
    }

    /// Asks once on every connection, outside of any tally, so that no load begins with a handshake. Brings the first
    /// answer that is none.
    pub async fn warm_up(&self) -> Result<()> {
        for connection in 0..self.connections() {
            self.ask(connection).await?;
        }
        Ok(())
    }

    /// `in_flight` requests on each connection (in all, if each has its own), the next as soon as one ends.
    pub async fn closed(self: &Arc<Self>, in_flight: usize, until: Until, ledger: &Ledger) -> Tally {
        let made = Arc::new(AtomicU64::new(0));
        let mut workers = JoinSet::new();
        for connection in (0..self.connections()).flat_map(|connection| vec![connection; in_flight]) {
            let (load, made, ledger) = (Arc::clone(self), Arc::clone(&made), ledger.clone());
            workers.spawn(async move {
                while !until.is_reached(&made, ledger.began()) {
                    let due = Instant::now();
                    let outcome = load.ask(connection).await;
                    ledger.ended(due, &outcome);
                }
            });
        }
        workers.join_all().await;
        ledger.so_far()
    }

    /// Requests at a mean of `rate` a second for as long as `lasts`, over the connections in turn. One that finds
    /// 8,192 others under way is not sent, and counted.
    pub async fn open(self: &Arc<Self>, rate: f64, lasts: Duration, ledger: &Ledger) -> Result<Tally> {
        ensure!(rate.is_finite() && rate > 0.0, "a rate of {rate} requests a second is none");
        let alarm = Alarm::new().context("no timer")?;
        let arrivals = Arrivals::new(rate, lasts, Rng::new());
        self.keep_to(arrivals, async |due| alarm.until(due).await, ledger).await.context("the timer failed")
    }

    /// Requests at these times, counted from the beginning.
    async fn keep_to(
        self: &Arc<Self>,
        arrivals: impl Iterator<Item = Duration>,
        until: impl AsyncFn(Instant) -> io::Result<()>,
        ledger: &Ledger,
    ) -> io::Result<Tally> {
        let mut under_way = JoinSet::new();
        for (connection, at) in (0..).zip(arrivals) {
            let due = ledger.began() + at;
            until(due).await?;
            while under_way.try_join_next().is_some() {}
            if under_way.len() >= MOST_IN_FLIGHT {
                ledger.not_sent();
                continue;
            }
            ledger.started(due);
            let (load, ledger) = (Arc::clone(self), ledger.clone());
            under_way.spawn(async move { ledger.ended(due, &load.ask(connection).await) });
        }
        under_way.join_all().await;
        Ok(ledger.so_far())
    }

    /// The next request.
    async fn ask(&self, connection: u64) -> Result<Issued, CaError> {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let (token, csr) = (self.requests.tokens.at(turn), self.requests.csrs.at(turn));
        match &self.line {
            Line::Kept(kept) => kept.at(connection).issue(token, csr, None).await,
            Line::Fresh(endpoint) => match IstioCa::new(endpoint.clone()) {
                Ok(client) => client.issue(token, csr, None).await,
                Err(error) => Err(CaError::Unavailable(Outage::Disconnected {
                    address: endpoint.address.clone(),
                    source: Some(Arc::new(error)),
                })),
            },
        }
    }

    fn connections(&self) -> u64 {
        match &self.line {
            Line::Kept(kept) => kept.len(),
            Line::Fresh(_) => 1,
        }
    }
}

impl Until {
    /// Whether that is enough. If it is not, one more request is made.
    fn is_reached(self, made: &AtomicU64, began: Instant) -> bool {
        match self {
            Self::Passed(time) => began.elapsed() >= time,
            Self::Made(count) => made.fetch_add(1, Ordering::Relaxed) >= count,
        }
    }
}

/// Several times what a CA lets wait by default: it is to be the CA that refuses.
const MOST_IN_FLIGHT: usize = 8_192;

#[cfg(test)]
mod tests;
