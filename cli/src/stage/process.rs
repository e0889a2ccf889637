//! A real program, started, watched and ended with everything that it started itself.

use std::convert::identity;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::Instant;

use super::guard::Guard;
use super::poll;

/// How much of a log is quoted when its process has failed.
const QUOTED_LINES: usize = 15;

/// What to run: a name for people and for the log file, the executable, its arguments.
#[derive(Debug, Clone)]
pub struct Program {
    name: String,
    executable: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, PathBuf)>,
}

impl Program {
    /// `executable` without arguments; its output goes to `<name>.log` in the stage's directory.
    pub fn new(name: impl Into<String>, executable: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            executable: executable.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// The same with one more variable in its environment, which is otherwise ours.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>, value: impl Into<PathBuf>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The same with one more argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }
}

/// A running program in a process group of its own. Dropping it kills the whole group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    group: Pid,
    log: PathBuf,
    guard: Arc<Guard>,
    status: Option<ExitStatus>,
}

impl Process {
    pub(super) fn start(program: &Program, directory: &Path, guard: Arc<Guard>) -> Result<Self> {
        let log = directory.join(format!("{}.log", program.name));
        let output = File::options().create(true).append(true).open(&log)?;
        let child = Command::new(&program.executable)
            .args(&program.arguments)
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.executable.display()))?;
        let group = Pid::from_child(&child);
        let process = Self { name: program.name.clone(), child, group, log, guard, status: None };
        process.guard.watch(group)?;
        Ok(process)
    }

    /// The process id, also of its group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has written so far, to either output, in every life under this name.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.log)?).into_owned())
    }

    /// Asks `ready` again and again until it answers. Fails when the process ends first or `limit` is over, and
    /// then quotes the end of its log.
    pub async fn until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut ready: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T> {
        let look = async || {
            if let Some(answer) = ready().await {
                return Some(Ok(answer));
            }
            let ended = self.ended().transpose()?;
            Some(Err(ended.map_or_else(identity, |status| anyhow!("ended ({status}) before it was {what}"))))
        };
        let seen = poll::until(Instant::now() + limit, poll::PACE, look).await;
        let answer = seen.unwrap_or_else(|| Err(anyhow!("was not {what} within {limit:?}")));
        answer.map_err(|error| anyhow!("{} {error:#}:\n{}", self.name, self.end_of_log()))
    }

    /// Asks it to end, by SIGTERM as an orchestrator or by SIGINT as a person does, and kills it after `grace`.
    pub async fn stop(&mut self, signal: Signal, grace: Duration) -> Result<ExitStatus> {
        self.signal(signal)?;
        let ended = async || self.ended().transpose();
        match poll::until(Instant::now() + grace, poll::PACE, ended).await {
            Some(status) => status,
            None => self.kill(),
        }
    }

    /// SIGKILL to the whole group: nothing of it runs a moment longer.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        self.signal(Signal::KILL)?;
        let status = self.child.wait()?;
        self.remember(status)?;
        Ok(status)
    }

    /// Its status, once it has ended by itself. What it started and left behind is ended then too.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none()
            && let Some(status) = self.child.try_wait()?
        {
            self.signal(Signal::KILL)?;
            self.remember(status)?;
        }
        Ok(self.status)
    }

    fn remember(&mut self, status: ExitStatus) -> io::Result<()> {
        self.status = Some(status);
        self.guard.release(self.group)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        match kill_process_group(self.group, signal) {
            // The group is empty already.
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot signal {}", self.name)),
        }
    }

    fn end_of_log(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<_> = log.lines().map(|line| format!("    {line}")).collect();
        lines.get(lines.len().saturating_sub(QUOTED_LINES)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is left to be done about a failure here, and the guard tries again.
        let _killed = self.kill();
    }
}

#[cfg(test)]
mod tests;
