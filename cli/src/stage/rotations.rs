//! Counts how often the certificates change that Envoys serve with.

use anyhow::{Context, Result};
use signet_identity::SpiffeId;
use tokio::time::{Instant, sleep_until};

use super::Mesh;
use super::envoy::Admin;
use super::process::LOOK_AGAIN;

/// The certificate that one Envoy serves with for one workload, over time.
#[derive(Debug)]
pub struct Rotations {
    /// The workload's name.
    pub workload: String,
    identity: SpiffeId,
    envoy: Admin,
    changes: Vec<Instant>,
    serial: String,
}

impl Rotations {
    /// From now on, the certificates that traffic needs: of `frontend` in the client, of `orders` in the server.
    pub async fn that_traffic_needs(mesh: &Mesh) -> Result<[Self; 2]> {
        let watch = async |workload: &super::Workload, envoy: Admin| {
            let serial = serial(envoy, workload.identity()).await?;
            let (workload, identity) = (workload.name().to_owned(), workload.identity().clone());
            anyhow::Ok(Self { workload, identity, envoy, changes: Vec::new(), serial })
        };
        Ok([
            watch(&mesh.workloads.frontend, mesh.client.admin()).await?,
            watch(&mesh.workloads.orders, mesh.server.admin()).await?,
        ])
    }

    /// How many were seen.
    pub fn count(&self) -> usize {
        self.changes.len()
    }

    /// How many were seen after `moment`.
    pub fn count_after(&self, moment: Instant) -> usize {
        self.changes.iter().filter(|change| **change > moment).count()
    }

    /// Looks at all of them until `end`, many times a second.
    pub async fn watch(all: &mut [Self], end: Instant) -> Result<()> {
        loop {
            for one in all.iter_mut() {
                one.look().await?;
            }
            if Instant::now() >= end {
                return Ok(());
            }
            sleep_until(end.min(Instant::now() + 5 * LOOK_AGAIN)).await;
        }
    }

    async fn look(&mut self) -> Result<()> {
        let serial = serial(self.envoy, &self.identity).await?;
        if serial != self.serial {
            self.changes.push(Instant::now());
            self.serial = serial;
        }
        Ok(())
    }
}

async fn serial(envoy: Admin, identity: &SpiffeId) -> Result<String> {
    envoy
        .serial_of(identity.as_str())
        .await?
        .with_context(|| format!("Envoy has no certificate for {identity}"))
}
