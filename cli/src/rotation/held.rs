//! The secrets that are held, and those before them.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use signet_client::sds::PushedSecret;
use signet_identity::Clock;
use signet_runtime::SystemClock;

use super::handshake::{Peer, meet};
use super::ledger::{Failure, Ledger, Rotation};
use super::source::Source;
use crate::sds::Subscription;
use crate::sds::secret::{Content, Identity};

/// What a proxy holds, kept fresh by an agent; or what stands in files, as it was at the start.
pub(super) struct Held {
    /// `None`: files, which are read once.
    source: Option<Source>,
    /// Roots of `--anchors`, which no push replaces.
    are_roots_fixed: bool,
    now: Identity,
    before: Option<Identity>,
    roots: Vec<CertificateDer<'static>>,
    peers: Result<Peers, String>,
}

/// Made anew at each change.
struct Peers {
    now: Peer,
    before: Option<Peer>,
}

impl Held {
    /// From files, for good.
    pub(super) fn of_files(chain: &Path, key: &Path, anchors: &Path) -> Result<Self> {
        let read = |file: &Path| fs::read(file).with_context(|| format!("cannot read {}", file.display()));
        let now = Identity::read(read(chain)?, read(key)?)
            .map_err(|fault| anyhow!("{}: {fault}", chain.display()))?;
        Ok(Self::new(now, roots_of(anchors)?))
    }

    /// The first of each secret that the agent gives.
    pub(super) async fn of_agent(subscription: Subscription, anchors: Option<&Path>) -> Result<Self> {
        let mut roots = anchors.map(roots_of).transpose()?;
        let (mut now, are_roots_fixed) = (None, roots.is_some());
        let mut stream = subscription.open().await?;
        loop {
            match (now.take(), roots.take()) {
                (Some(now), Some(roots)) => {
                    let source = Some(Source::new(subscription, stream));
                    return Ok(Self { source, are_roots_fixed, ..Self::new(now, roots) });
                }
                other => (now, roots) = other,
            }
            let push =
                stream.next().await?.context("the agent closed the stream before it gave a certificate")?;
            for secret in push.secrets {
                match Content::of(&secret) {
                    Content::Identity(identity) => now = Some(*identity),
                    Content::Roots(pushed) if !are_roots_fixed => roots = Some(pushed),
                    Content::Roots(_) => {}
                    Content::Nothing(fault) => bail!("secret {}: {fault}", secret.name),
                }
            }
        }
    }

    fn new(now: Identity, roots: Vec<CertificateDer<'static>>) -> Self {
        let peers = peers(&now, None, &roots);
        Self { source: None, are_roots_fixed: true, now, before: None, roots, peers }
    }

    /// The end that the newest secrets make.
    pub(super) fn peer(&self) -> Result<&Peer, String> {
        self.peers.as_ref().map(|peers| &peers.now).map_err(Clone::clone)
    }

    /// Waits for a push. May be dropped at any point. `Some`: it brought another certificate.
    pub(super) async fn changed(&mut self) -> Result<Option<Rotation>> {
        let Some(source) = &mut self.source else { return std::future::pending().await };
        let push = source.next().await?;
        let mut rotation = None;
        for secret in push.secrets {
            rotation = self.take(&secret).or(rotation);
        }
        let before =
            self.before.as_ref().filter(|before| before.leaf().validity().contains(SystemClock.now()));
        self.peers = peers(&self.now, before, &self.roots);
        Ok(rotation)
    }

    fn take(&mut self, secret: &PushedSecret) -> Option<Rotation> {
        match Content::of(secret) {
            Content::Identity(new) if new.chain().first() != self.now.chain().first() => {
                let old = std::mem::replace(&mut self.now, *new);
                let rotation = Rotation::between(&old, self.now.leaf().serial(), SystemClock.now());
                self.before = Some(old);
                Some(rotation)
            }
            Content::Roots(roots) if !self.are_roots_fixed => {
                self.roots = roots;
                None
            }
            _ => None,
        }
    }

    /// Connections in memory: the newest with itself and, as long as the one before it is valid, with that one.
    pub(super) fn meet(&self, ledger: &mut Ledger) {
        let Peers { now, before } = match &self.peers {
            Ok(peers) => peers,
            Err(fault) => return ledger.failed(failure("new", fault)),
        };
        note(ledger, "new with new", meet(now, now));
        let left = self.before.as_ref().map(|before| before.leaf().validity().remaining(SystemClock.now()));
        if let Some(before) = before
            && left.is_some_and(|left| left > MARGIN)
        {
            note(ledger, "old client with new server", meet(before, now));
            note(ledger, "new client with old server", meet(now, before));
        }
    }
}

impl Rotation {
    /// In place of `old`, as of now.
    pub(super) fn between(old: &Identity, new_serial: &str, now: SystemTime) -> Self {
        Self {
            at: now,
            old_serial: old.leaf().serial().to_owned(),
            new_serial: new_serial.to_owned(),
            old_valid_for: old.leaf().validity().remaining(now),
            both_seen: None,
        }
    }
}

/// As it is told.
pub(super) fn failure(connection: &str, reason: &str) -> Failure {
    Failure { at: SystemClock.now(), connection: connection.to_owned(), reason: reason.to_owned() }
}

fn note(ledger: &mut Ledger, connection: &str, met: Result<(), String>) {
    match met {
        Ok(()) => ledger.succeeded(),
        Err(reason) => ledger.failed(failure(connection, &reason)),
    }
}

fn peers(
    now: &Identity,
    before: Option<&Identity>,
    roots: &[CertificateDer<'static>],
) -> Result<Peers, String> {
    let before = before.map(|before| Peer::new(before, roots)).transpose()?;
    Ok(Peers { now: Peer::new(now, roots)?, before })
}

fn roots_of(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let roots = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let roots = roots
        .map_err(|fault| anyhow!("cannot read certificates from --anchors {}: {fault}", file.display()))?;
    if roots.is_empty() {
        bail!("--anchors {} holds no certificate in PEM", file.display());
    }
    Ok(roots)
}

/// Less is left of it than a handshake on a busy machine may take.
const MARGIN: Duration = Duration::from_secs(1);
