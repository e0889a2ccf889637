//! The real processes, built for release, and what they have used.

use std::{fs, ops::Deref, time::Duration};

use anyhow::{Context, Result};
use rustix::{
    thread::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
};
use signet::stage::{Ca, CaSettings, Daemon, NodeAgent, NodeAgentSettings, Stage};
use signet_client::CaEndpoint;

use crate::{parts::Bench, rsa_issuer::ISSUER};

/// Who runs where.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Core {
    Servers,
    Load,
    Both,
}

/// Moves this thread, and the threads and processes that it starts from now on, to a core.
pub(crate) fn pin(core: Core) -> Result<()> {
    let mut cores = CpuSet::new();
    match core {
        Core::Servers => cores.set(0),
        Core::Load => cores.set(1),
        Core::Both => (0..2).for_each(|core| cores.set(core)),
    }
    sched_setaffinity(None, &cores).context("cannot choose a core: the bench needs two")
}

/// What the CA's audit log waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Audit {
    /// The operating system.
    Written,
    /// The disk.
    OnDisk,
}

/// A CA that is ready, on a stage of its own.
pub(crate) struct ServingCa {
    pub(crate) ca: Watched<Ca>,
    pub(crate) stage: Stage,
}

impl ServingCa {
    /// It serves with as many threads as it has cores. This thread is on the load generator's core afterwards.
    pub(crate) async fn start(bench: &Bench, core: Core, audit: Audit) -> Result<Self> {
        let stage = Stage::set()?;
        let settings = match audit {
            Audit::Written => settings(bench, &stage)?,
            Audit::OnDisk => settings(bench, &stage)?.with_fsync(),
        };
        Self::start_with(bench, core, stage, &settings).await
    }

    /// The same with other settings, on a stage that is there.
    pub(crate) async fn start_with(
        bench: &Bench,
        core: Core,
        stage: Stage,
        settings: &CaSettings,
    ) -> Result<Self> {
        pin(core)?;
        let mut ca = Ca::start(&stage, &bench.programs, settings)?;
        pin(Core::Load)?;
        ca.daemon().ready(READY).await?;
        Ok(Self { stage, ca: Watched::of(ca, Ca::daemon) })
    }

    pub(crate) fn endpoint(&self) -> Result<CaEndpoint> {
        self.ca.process.endpoint()
    }
}

impl Deref for ServingCa {
    type Target = Watched<Ca>;

    fn deref(&self) -> &Watched<Ca> {
        &self.ca
    }
}

/// What a CA of the bench is started with.
pub(crate) fn settings(bench: &Bench, stage: &Stage) -> Result<CaSettings> {
    let jwks = stage.write("jwks.json", &bench.issuer.jwks().to_string())?;
    Ok(CaSettings::trusting(LEAF_LIFETIME, ISSUER, &jwks))
}

/// A CA and an agent before it, idle.
pub(crate) struct Running {
    pub(crate) agent: Watched<NodeAgent>,
    pub(crate) ca: ServingCa,
}

/// A process and its number in `/proc`.
pub(crate) struct Watched<T> {
    pub(crate) process: T,
    pub(crate) id: u32,
}

impl Running {
    /// Started and ready, on the servers' core.
    pub(crate) async fn start(bench: &Bench) -> Result<Self> {
        let ca = ServingCa::start(bench, Core::Servers, Audit::Written).await?;
        pin(Core::Servers)?;
        let mut agent =
            NodeAgent::start(&ca.stage, &bench.programs, ca.endpoint()?, &NodeAgentSettings::default())?;
        pin(Core::Load)?;
        agent.daemon().ready(READY).await?;
        tokio::time::sleep(SETTLE).await;
        Ok(Self { ca, agent: Watched::of(agent, NodeAgent::daemon) })
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

/// CPU time of this process so far.
pub(crate) fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The default of the CA.
const LEAF_LIFETIME: Duration = Duration::from_secs(24 * 3600);
const READY: Duration = Duration::from_secs(10);
/// For start-up work to come to rest.
const SETTLE: Duration = Duration::from_secs(1);
