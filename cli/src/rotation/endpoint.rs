//! A TLS endpoint over the network: what it presents from connection to connection.

use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow};
use rustls_pki_types::ServerName;
use signet_identity::{CertificateSummary, Clock, SpiffeId};
use signet_runtime::SystemClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::handshake::Peer;
use super::held::{Held, failure};
use super::ledger::{Ledger, Rotation};
use crate::flags::TlsAddress;
use crate::output::span;

/// Where connections go, and whom they have met there.
pub(super) struct Endpoint {
    address: TlsAddress,
    expect: Option<SpiffeId>,
    met: CertificateSummary,
}

impl Endpoint {
    /// The first connection, which must come about: else nothing is known that could rotate.
    pub(super) async fn reach(address: &TlsAddress, expect: Option<SpiffeId>, held: &Held) -> Result<Self> {
        let peer = held.peer().map_err(|fault| anyhow!("the certificate to show cannot be used: {fault}"))?;
        match connect(address, expect.as_ref(), peer).await {
            Ok(met) => Ok(Self { address: address.clone(), expect, met }),
            Err(reason) => {
                let presented = peer.presented().map(|who| format!(", which presented {who}"));
                Err(anyhow!(
                    "no connection to {address}{}: {reason}; check the address, its roots (--anchors) and that it \
                     accepts the certificate that is shown",
                    presented.unwrap_or_default()
                ))
            }
        }
    }

    /// One more connection. Was another certificate met for the first time?
    pub(super) async fn connect(&mut self, held: &Held, ledger: &mut Ledger) -> bool {
        let connected = match held.peer() {
            Ok(peer) => connect(&self.address, self.expect.as_ref(), peer).await,
            Err(fault) => Err(fault),
        };
        match connected {
            Ok(met) => {
                ledger.succeeded();
                self.is_new(met, ledger)
            }
            Err(reason) => {
                ledger.failed(failure(&self.address.to_string(), &reason));
                false
            }
        }
    }

    fn is_new(&mut self, met: CertificateSummary, ledger: &mut Ledger) -> bool {
        if met.serial() == self.met.serial() || ledger.met(met.serial()) {
            return false;
        }
        ledger.rotated(rotation(&self.met, &met, SystemClock.now()));
        self.met = met;
        true
    }
}

fn rotation(old: &CertificateSummary, new: &CertificateSummary, now: SystemTime) -> Rotation {
    Rotation {
        at: now,
        old_serial: old.serial().to_owned(),
        new_serial: new.serial().to_owned(),
        old_valid_for: old.validity().remaining(now),
        both_seen: Some(Duration::ZERO),
    }
}

/// A whole connection: TLS 1.3 lets a server refuse us after we are done, so that only its own end of the connection
/// says that it did not.
async fn connect(
    address: &TlsAddress,
    expect: Option<&SpiffeId>,
    peer: &Peer,
) -> Result<CertificateSummary, String> {
    let whole = async {
        let tcp =
            TcpStream::connect((address.host(), address.port())).await.map_err(|fault| fault.to_string())?;
        let name = ServerName::try_from(address.host().to_owned()).map_err(|fault| fault.to_string())?;
        let tls = TlsConnector::from(peer.client()).connect(name, tcp).await;
        let mut tls = tls.map_err(|fault| format!("no TLS connection: {fault}"))?;
        tls.shutdown().await.map_err(|fault| fault.to_string())?;
        // Whatever it says before it ends; that it ends without a word is no refusal.
        let mut rest = [0; 1024];
        loop {
            match tls.read(&mut rest).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(fault) if fault.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(fault) => return Err(format!("it refused our certificate: {fault}")),
            }
        }
        let leaf = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let leaf = leaf.and_then(|leaf| CertificateSummary::of(leaf).ok());
        leaf.ok_or_else(|| "it presented no certificate that can be read".to_owned())
    };
    let met = timeout(LIMIT, whole).await;
    let met =
        met.unwrap_or_else(|_| Err(format!("no connection, or no end of it, within {}", span(LIMIT))))?;
    match expect {
        Some(expected) if met.uris() != [expected.as_str()] => {
            Err(format!("it is {} where {expected} was expected", met.uris().join(", ")))
        }
        _ => Ok(met),
    }
}

/// For one connection.
const LIMIT: Duration = Duration::from_secs(5);
