//! Steady traffic through a mesh, and the rotations of the certificates that it needs.

use std::time::Duration;

use anyhow::{Result, ensure};
use signet::stage::{Load, Mesh, Rotations};
use tokio::time::{Instant, timeout};

/// Between one request and the next; each makes a handshake of its own.
const PAUSE: Duration = Duration::from_millis(20);

/// Until certificates have changed as often as a test wants: more than twice what the slowest takes.
const LONGEST: Duration = Duration::from_secs(240);

/// Requests at a steady rate while certificates change.
#[derive(Debug)]
pub struct Traffic {
    load: Load,
    rotations: [Rotations; 2],
}

impl Traffic {
    /// From now on.
    pub async fn through(mesh: &Mesh) -> Result<Self> {
        let rotations = Rotations::that_traffic_needs(mesh).await?;
        Ok(Self { load: Load::start(mesh.doors.frontend, PAUSE), rotations })
    }

    /// Goes on until both certificates, the client's and the server's, have changed `count` more times.
    pub async fn until_each_has_rotated(&mut self, count: usize) -> Result<()> {
        let began = Instant::now();
        let rotated = timeout(LONGEST, async {
            while self.rotations.iter().any(|one| one.count_after(began) < count) {
                Rotations::watch(&mut self.rotations, Instant::now() + Duration::from_millis(100)).await?;
            }
            anyhow::Ok(())
        });
        let done = rotated.await;
        let counts: Vec<_> = self.rotations.iter().map(|one| one.count_after(began)).collect();
        ensure!(done.is_ok(), "{counts:?} rotations within {LONGEST:?} where {count} each were wanted");
        done?
    }

    /// Goes on until `end`.
    pub async fn until(&mut self, end: Instant) -> Result<()> {
        Rotations::watch(&mut self.rotations, end).await
    }

    /// The rotations that were seen, of both certificates.
    pub fn rotations(&self) -> &[Rotations] {
        &self.rotations
    }

    /// Ends it. Fails if any request has.
    pub async fn must_be_unharmed(self) -> Result<()> {
        self.must_be_unharmed_before(None).await
    }

    /// Ends it. Fails if any request has before `end`: on a machine that is late, some may come after.
    pub async fn must_be_unharmed_before(self, end: impl Into<Option<Instant>>) -> Result<()> {
        let (tally, end) = (self.load.finish().await, end.into());
        ensure!(tally.requests > 0, "no request was made");
        let Some(failure) = &tally.first_failure else { return Ok(()) };
        ensure!(
            end.is_some_and(|end| failure.at >= end),
            "{:?} before that, {tally:?}",
            end.map(|end| end - failure.at)
        );
        Ok(())
    }
}
