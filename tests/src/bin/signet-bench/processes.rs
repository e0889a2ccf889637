//! The real processes, built for release, and what they have used.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_setaffinity};
use signet::stage::{Ca, CaSettings, Daemon, NodeAgent, Stage};

use crate::{parts::Bench, rsa_issuer::ISSUER};

/// Who runs where.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Core {
    Servers = 0,
    Load = 1,
}

/// Moves this thread, and the threads and processes that it starts from now on, to a core.
pub(crate) fn pin(core: Core) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core as usize);
    sched_setaffinity(None, &cores).context("cannot choose a core: the bench needs two")
}

/// A CA and an agent before it, idle.
pub(crate) struct Running {
    _stage: Stage,
    pub(crate) ca: Watched<Ca>,
    pub(crate) agent: Watched<NodeAgent>,
}

/// A process and its number in `/proc`.
pub(crate) struct Watched<T> {
    pub(crate) process: T,
    pub(crate) id: u32,
}

impl Running {
    /// Started and ready, on the servers' core.
    pub(crate) async fn start(bench: &Bench) -> Result<Self> {
        let stage = Stage::set()?;
        let jwks = stage.write("jwks.json", &bench.issuer.jwks().to_string())?;
        let settings = CaSettings::trusting(LEAF_LIFETIME, ISSUER, &jwks);
        pin(Core::Servers)?;
        let mut ca = Ca::start(&stage, &bench.programs, &settings)?;
        ca.daemon().ready(READY).await?;
        let mut agent = NodeAgent::start(&stage, &bench.programs, &ca.endpoint()?, &Default::default())?;
        agent.daemon().ready(READY).await?;
        pin(Core::Load)?;
        tokio::time::sleep(SETTLE).await;
        let (ca, agent) = (Watched::of(ca, Ca::daemon), Watched::of(agent, NodeAgent::daemon));
        Ok(Self { _stage: stage, ca, agent })
    }

    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.agent.process.daemon().stop(READY).await?;
        self.ca.process.daemon().stop(READY).await?;
        Ok(())
    }
}

impl<T> Watched<T> {
    /// A process of ours that has just started.
    pub(crate) fn of(mut process: T, daemon: impl Fn(&mut T) -> &mut Daemon) -> Self {
        let id = daemon(&mut process).process().id();
        Self { process, id }
    }

    /// CPU time of all its threads so far, user and system.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu_of(self.id)
    }

    /// Resident memory now.
    pub(crate) fn resident_kib(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Resident memory now, once a second for three seconds.
    pub(crate) fn resident_mb(&self) -> Result<Vec<f64>> {
        (0..3)
            .map(|_| {
                std::thread::sleep(SETTLE);
                Ok(self.resident_kib()? / 1024.0)
            })
            .collect()
    }
}

/// CPU time of all threads of a process so far, user and system.
pub(crate) fn cpu_of(process: u32) -> Result<Duration> {
    let threads = fs::read_dir(format!("/proc/{process}/task"))?;
    let nanoseconds = threads.map(|thread| {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = text.split(' ').next().and_then(|number| number.parse::<u64>().ok());
        first.context("schedstat of another shape")
    });
    Ok(Duration::from_nanos(nanoseconds.sum::<Result<u64>>()?))
}

/// The default of the CA.
const LEAF_LIFETIME: Duration = Duration::from_secs(24 * 3600);
const READY: Duration = Duration::from_secs(10);
/// For start-up work to come to rest.
const SETTLE: Duration = Duration::from_secs(1);
