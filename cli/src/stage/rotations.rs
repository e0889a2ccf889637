//! Counts how often the certificates change that Envoys serve with.

use std::time::Duration;

use anyhow::{Context, Result};
use signet_identity::SpiffeId;
use tokio::time::Instant;

use super::envoy::Admin;
use super::{Mesh, Workload, poll};

/// How often is looked: many times in the shortest life of a certificate.
const PACE: Duration = Duration::from_millis(100);

/// The certificate that one Envoy serves with for one workload, over time.
#[derive(Debug)]
pub struct Rotations {
    /// The workload's name.
    pub workload: String,
    identity: SpiffeId,
    envoy: Admin,
    streams_before: u64,
    serial: String,
    changes: Vec<Instant>,
}

impl Rotations {
    /// From now on, the certificates that traffic needs: of `frontend` in the client, of `orders` in the server.
    pub async fn that_traffic_needs(mesh: &Mesh) -> Result<[Self; 2]> {
        Ok([
            Self::of(&mesh.workloads.frontend, mesh.client.admin()).await?,
            Self::of(&mesh.workloads.orders, mesh.server.admin()).await?,
        ])
    }

    async fn of(workload: &Workload, envoy: Admin) -> Result<Self> {
        let (workload, identity) = (workload.name().to_owned(), workload.identity().clone());
        let streams_before = envoy.sds_streams(&workload).await?;
        let serial = serial(envoy, &identity).await?;
        Ok(Self { workload, identity, envoy, streams_before, serial, changes: Vec::new() })
    }

    /// How many were seen.
    pub fn count(&self) -> usize {
        self.changes.len()
    }

    /// How many were seen after `moment`.
    pub fn count_after(&self, moment: Instant) -> usize {
        self.changes.iter().filter(|change| **change > moment).count()
    }

    /// SDS streams that were opened meanwhile in this workload's name. A renewal that waited for a fresh token came
    /// by a new one; the first renewal may have been under way already when the count began.
    pub async fn streams(&self) -> Result<u64> {
        Ok(self.envoy.sds_streams(&self.workload).await? - self.streams_before)
    }

    /// Looks at all of them until `end`, many times a second.
    pub async fn watch(all: &mut [Self], end: Instant) -> Result<()> {
        let look = async || {
            for one in all.iter_mut() {
                if let Err(error) = one.look().await {
                    return Some(error);
                }
            }
            None
        };
        poll::until(end, PACE, look).await.map_or(Ok(()), Err)
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
