//! A minute of steady traffic, in which every certificate is renewed and the CA is away for a while.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::output::{Proof, Report};
use crate::stage::{Ca, Load, Mesh, Rotations, Stage, Tally};

/// How long traffic lasts.
const LASTS: Duration = Duration::from_secs(60);

/// Between one request and the next; each makes a handshake of its own.
const PAUSE: Duration = Duration::from_millis(20);

/// When the CA is stopped.
const STOP: Duration = Duration::from_secs(25);

/// How long it is away before it is started again: less than 6 s with its end and its start. At the latest moment of
/// its renewal a certificate has 9 s of 30 s left. The agent may take 3 s of them to try the CA again, and Envoy 1 s to
/// come back with a fresh token; the rest is for a machine that is busy with other things. How long it took is shown and
/// not judged: if it was too long, a request has failed.
const AWAY: Duration = Duration::from_secs(3);

/// How long it has to end in, and to be ready again.
const GRACE: Duration = Duration::from_secs(3);
const READY: Duration = Duration::from_secs(30);

/// How often the count is shown.
const SHOW: Duration = Duration::from_secs(10);

/// Each certificate is renewed after 12 to 21 s: within a minute at least twice, and once within the half of the minute
/// that is left when the CA is back.
const LEAST_ROTATIONS: usize = 2;

/// While the CA was away.
struct Outage {
    lasted: Duration,
    over: Instant,
    refused_connections: bool,
    requests: u64,
    failures: u64,
}

/// Two promises that take the same minute.
pub(super) async fn play(mesh: &mut Mesh, report: &mut Report<'_>) -> Result<()> {
    report
        .promise(&format!("Certificates rotate under load, and no request fails ({} s)", LASTS.as_secs()))?;
    let mut minute = Minute::begin(mesh, report).await?;
    minute.watch_until(STOP).await?;
    let outage = minute.stop_the_ca(&mut mesh.ca, &mesh.stage).await?;
    minute.watch_until(LASTS).await?;
    let (tally, rotations) = minute.end().await;

    report.shown(anyhow::Ok(traffic_is_unharmed(&tally)))?;
    report.shown(certificates_rotated(&rotations).await)?;
    report.promise("The CA stops, and traffic goes on")?;
    report.shown(anyhow::Ok(outage_is_invisible(&outage, &rotations)))?;
    Ok(())
}

/// Traffic, and the certificates that it needs.
struct Minute<'r, 'o> {
    began: Instant,
    load: Load,
    rotations: [Rotations; 2],
    next_count: Duration,
    report: &'r mut Report<'o>,
}

impl<'r, 'o> Minute<'r, 'o> {
    async fn begin(mesh: &Mesh, report: &'r mut Report<'o>) -> Result<Self> {
        let rotations = Rotations::that_traffic_needs(mesh).await?;
        let load = Load::start(mesh.doors.frontend, PAUSE);
        Ok(Self { began: Instant::now(), load, rotations, next_count: SHOW, report })
    }

    /// Watches the certificates, and shows the count now and then.
    async fn watch_until(&mut self, end: Duration) -> Result<()> {
        while self.next_count <= end {
            Rotations::watch(&mut self.rotations, self.began + self.next_count).await?;
            self.show_count()?;
            self.next_count += SHOW;
        }
        Rotations::watch(&mut self.rotations, self.began + end).await
    }

    async fn stop_the_ca(&mut self, ca: &mut Ca, stage: &Stage) -> Result<Outage> {
        let (began, before) = (Instant::now(), self.load.so_far());
        ca.daemon().stop(GRACE).await?;
        self.report.line("        the CA is stopped")?;
        let refused_connections = TcpStream::connect((Ipv4Addr::LOCALHOST, ca.grpc())).await.is_err();
        self.watch_until(began - self.began + AWAY).await?;
        ca.daemon().start_again(stage)?;
        ca.daemon().ready(READY).await?;
        let (over, after) = (Instant::now(), self.load.so_far());
        self.report.line("        the CA is back")?;
        Ok(Outage {
            lasted: over - began,
            over,
            refused_connections,
            requests: after.requests - before.requests,
            failures: after.failures - before.failures,
        })
    }

    async fn end(self) -> (Tally, [Rotations; 2]) {
        (self.load.finish().await, self.rotations)
    }

    fn show_count(&mut self) -> io::Result<()> {
        let Tally { requests, failures, .. } = self.load.so_far();
        let rotations: Vec<_> =
            self.rotations.iter().map(|one| format!("{} {}", one.workload, one.count())).collect();
        self.report.line(&format!(
            "{:>3} s   {requests:>5} requests, {failures} failed   rotations: {}",
            self.next_count.as_secs(),
            rotations.join(", ")
        ))
    }
}

fn traffic_is_unharmed(tally: &Tally) -> Vec<Proof> {
    let Tally { requests, failures, slowest, .. } = tally;
    let statement =
        format!("{requests} requests, {failures} failed; the slowest took {} ms", slowest.as_millis());
    let proof = Proof::new(*requests > 0 && *failures == 0, statement);
    vec![match &tally.first_failure {
        Some(failure) => proof.evidence(format!("the first failure: {}", failure.answer)),
        None => proof,
    }]
}

async fn certificates_rotated(rotations: &[Rotations]) -> Result<Vec<Proof>> {
    let mut proofs = Vec::new();
    for one in rotations {
        let (count, streams) = (one.count(), one.streams().await?);
        proofs.push(Proof::new(
            count >= LEAST_ROTATIONS,
            format!("the certificate of {} was renewed {count} times", one.workload),
        ));
        proofs.push(Proof::new(
            streams + 1 >= count as u64,
            format!(
                "its token was dead each time, and Envoy came back with a fresh one: {streams} new SDS streams"
            ),
        ));
    }
    Ok(proofs)
}

fn outage_is_invisible(outage: &Outage, rotations: &[Rotations]) -> Vec<Proof> {
    let Outage { lasted, requests, failures, .. } = outage;
    let renewed = rotations.iter().all(|one| one.count_after(outage.over) > 0);
    vec![
        Proof::new(
            outage.refused_connections,
            format!("the CA was away for {:.1} s and refused connections", lasted.as_secs_f64()),
        ),
        Proof::new(
            *requests > 0 && *failures == 0,
            format!("{requests} requests meanwhile, {failures} failed"),
        ),
        Proof::new(renewed, "after its return every certificate was renewed again"),
    ]
}
