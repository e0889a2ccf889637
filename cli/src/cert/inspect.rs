//! `signet cert inspect`.

use std::fmt::{self, Display};
use std::time::SystemTime;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use signet_identity::Clock;
use signet_runtime::SystemClock;

use super::portrait::Portrait;
use crate::input::{self, Item, Kind, Source};
use crate::outcome::Outcome;
use crate::output::Console;

/// Where the certificates are.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// PEM, DER, base64 of either, or a Kubernetes Secret or ConfigMap: in a file, `-`, https://..., or tls://HOST:PORT
    /// for what a server presents
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<Source>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  signet cert inspect chain.pem
  kubectl get secret -n istio-system cacerts -o yaml | signet cert inspect -
  signet cert inspect tls://orders.shop.svc:8443
  signet cert inspect --output json root-cert.pem

Exit code 1: a certificate breaks a rule of X.509-SVID, or cannot be read. Whether anybody should trust it
is another question, which signet cert verify answers.";

/// All of them.
#[derive(Debug, Serialize)]
pub(super) struct Album {
    held: bool,
    certificates: Vec<Portrait>,
}

impl Inspect {
    /// Shows them.
    pub(crate) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        let items = input::all(&self.inputs, &Kind::Certificate)?;
        let album = Album::of(&items, SystemClock.now());
        console.answer(&album)?;
        Ok(album.held.into())
    }
}

impl Album {
    /// Of these certificates, as they are at that moment.
    pub(super) fn of(items: &[Item], now: SystemTime) -> Self {
        let certificates: Vec<_> = items.iter().map(|item| Portrait::of(item, now)).collect();
        Self { held: certificates.iter().all(Portrait::held), certificates }
    }
}

impl Display for Album {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, portrait) in self.certificates.iter().enumerate() {
            if place > 0 {
                writeln!(f)?;
            }
            write!(f, "{portrait}")?;
        }
        Ok(())
    }
}
