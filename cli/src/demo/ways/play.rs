//! Traffic that goes through all of it, and what is shown of each way.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{PLAN, signers};
use crate::output::{Proof, Report};
use crate::stage::openbao::VaultAccess;
use crate::stage::{CaSettings, Load, Mesh, Rotations, Tally};

/// Between one request and the next.
const PAUSE: Duration = Duration::from_millis(20);

/// Between one look at who signed and the next.
const LOOK: Duration = Duration::from_millis(500);

/// A root travels for 20 s, and the last leaf under the old one is renewed 14 s later; the rest is for a machine that is
/// busy with other things.
const SIGNED_WITHIN: Duration = Duration::from_secs(120);

const GRACE: Duration = Duration::from_secs(5);
const READY: Duration = Duration::from_secs(30);

/// What was seen of one way.
pub(super) type Shown = Result<Vec<Proof>>;

/// The mesh under load.
pub(super) struct Play<'r, 'o> {
    mesh: Mesh,
    load: Load,
    rotations: [Rotations; 2],
    /// When the way that is shown began, and what had become of the requests by then.
    since: (Instant, Tally),
    report: &'r mut Report<'o>,
}

impl<'r, 'o> Play<'r, 'o> {
    pub(super) async fn begin(mesh: Mesh, report: &'r mut Report<'o>) -> Result<Self> {
        let rotations = Rotations::that_traffic_needs(&mesh).await?;
        let load = Load::start(mesh.doors.frontend, PAUSE);
        let since = (Instant::now(), load.so_far());
        Ok(Self { mesh, load, rotations, since, report })
    }

    /// The next way begins.
    pub(super) fn promise(&mut self, text: &str) -> io::Result<()> {
        self.since = (Instant::now(), self.load.so_far());
        self.report.promise(text)
    }

    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        self.report.line(text)
    }

    pub(super) fn shown(&mut self, shown: Shown) -> io::Result<()> {
        self.report.shown(shown)
    }

    pub(super) fn proof(&mut self, proof: Proof) -> io::Result<()> {
        self.shown(Ok(vec![proof]))
    }

    /// The CA is started again with this configuration.
    pub(super) async fn sign_by(&mut self, settings: &CaSettings) -> Result<()> {
        let Mesh { ca, stage, .. } = &mut self.mesh;
        ca.configure(stage, settings)?;
        ca.daemon().stop(GRACE).await?;
        ca.daemon().start_again(stage)?;
        ca.daemon().ready(READY).await
    }

    pub(super) async fn turn_to_vault(&mut self, access: VaultAccess) -> Result<()> {
        self.mesh.turn_to_vault(access, PLAN.leaf_lifetime).await
    }

    pub(super) async fn ca_is_gone(&self) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.mesh.ca.grpc())).await.is_err()
    }

    /// Waits until both certificates were renewed in this way, and the server's is signed by these, from the leaf
    /// upwards. `*` is anybody.
    pub(super) async fn until_signed_by(&mut self, wanted: &[&str]) -> Shown {
        let (began, before) = self.since.clone();
        let deadline = began + SIGNED_WITHIN;
        let mut seen = signers(&self.mesh).await?;
        while !are(&seen, wanted) {
            ensure!(Instant::now() < deadline, "orders is signed for by {}", seen.join(" ◂ "));
            Rotations::watch(&mut self.rotations, Instant::now() + LOOK).await?;
            seen = signers(&self.mesh).await?;
        }
        let signed = Instant::now();
        while self.rotations.iter().any(|one| one.count_after(signed) == 0) {
            ensure!(Instant::now() < deadline, "no certificate was renewed in this way");
            Rotations::watch(&mut self.rotations, Instant::now() + LOOK).await?;
        }
        let after = self.load.so_far();
        let (requests, failures) = (after.requests - before.requests, after.failures - before.failures);
        let renewed: Vec<_> =
            self.rotations.iter().map(|one| format!("{} {}", one.workload, one.count_after(began))).collect();
        let traffic = Proof::new(
            requests > 0 && failures == 0,
            format!("{requests} requests in {} s, {failures} failed", began.elapsed().as_secs()),
        );
        Ok(vec![
            Proof::new(true, format!("the certificate of orders is signed by {}", seen.join(" ◂ "))),
            Proof::new(true, format!("certificates renewed: {}", renewed.join(", "))),
            match &after.first_failure {
                Some(failure) if failures > 0 => {
                    traffic.evidence(format!("the first failure: {}", failure.answer))
                }
                _ => traffic,
            },
        ])
    }

    /// Adds up the traffic.
    pub(super) async fn end(self) -> Result<Mesh> {
        let Tally { requests, failures, slowest, .. } = self.load.finish().await;
        let renewed: usize = self.rotations.iter().map(Rotations::count).sum();
        self.report.promise("One authority followed on another, and traffic did not notice")?;
        self.report.shown(anyhow::Ok(vec![Proof::new(
            requests > 0 && failures == 0,
            format!(
                "{requests} requests through all of it, {failures} failed; the slowest took {} ms; {renewed} renewals",
                slowest.as_millis()
            ),
        )]))?;
        Ok(self.mesh)
    }
}

fn are(seen: &[String], wanted: &[&str]) -> bool {
    seen.len() == wanted.len()
        && seen.iter().zip(wanted).all(|(seen, wanted)| *wanted == "*" || seen.contains(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signers_are_told_by_number_and_name() {
        for (name, seen, wanted, are_those) in [
            ("the one", vec!["CN=root 1"], vec!["root 1"], true),
            ("another", vec!["CN=operator root"], vec!["root 1"], false),
            ("one more", vec!["CN=int", "CN=root 1"], vec!["root 1"], false),
            ("whoever below the one", vec!["CN=int", "CN=root 1"], vec!["*", "root 1"], true),
        ] {
            let seen: Vec<_> = seen.into_iter().map(str::to_owned).collect();
            assert_eq!(are(&seen, &wanted), are_those, "{name}");
        }
    }
}
