//! Cleans up after a stage, in whatever way the stage ends.
//!
//! A process that is killed with SIGKILL cannot clean up after itself, and having the kernel do it
//! (`PR_SET_PDEATHSIG`) takes `unsafe` code between fork and exec. So each stage posts a guard: a shell, in a
//! process group of its own where no Ctrl-C reaches it, that is told each process group that starts and waits for
//! the end of its standard input. That end comes when the stage is dropped and when we die of anything at all; the
//! guard then kills what still runs and removes the directory. One way out for both cases, so that the rare one is
//! exercised every time.
//!
//! What is left uncovered: a SIGKILL in the microseconds between the start of a process and the line that tells the
//! guard of it.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::Pid;

/// Reads `+ GROUP` and `- GROUP` until the end of its input, then kills the groups that are left.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
groups=
while read -r sign group; do
    case $sign in
        +) groups="$groups $group" ;;
        -) rest=
           for other in $groups; do [ "$other" = "$group" ] || rest="$rest $other"; done
           groups=$rest ;;
    esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
rm -rf -- "$1"
"#;

/// Owns a directory and knows the process groups that run in it; see the module's text.
#[derive(Debug)]
pub(super) struct Guard {
    shell: Child,
    orders: Mutex<Option<ChildStdin>>,
}

impl Guard {
    /// Posts a guard over `directory`, which is gone, with all in it, soon after the guard is.
    pub(super) fn post(directory: &Path) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "signet-guard"])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let orders = Mutex::new(shell.stdin.take());
        Ok(Self { shell, orders })
    }

    /// From now on this group dies with us.
    pub(super) fn watch(&self, group: Pid) -> io::Result<()> {
        self.order('+', group)
    }

    /// This group has ended: its number may soon be somebody else's.
    pub(super) fn release(&self, group: Pid) -> io::Result<()> {
        self.order('-', group)
    }

    fn order(&self, sign: char, group: Pid) -> io::Result<()> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        // One write: a line must not be cut in half by our own death.
        orders.write_all(format!("{sign} {group}\n").as_bytes())
    }
}

impl Drop for Guard {
    /// Waits until all is gone: when a stage has been dropped, nothing of it is left.
    fn drop(&mut self) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A guard that cannot be waited for has ended, which is all that is wanted.
        let _ended = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_still_runs_dies_with_the_guard_and_the_directory_goes() {
        let directory = tempfile::tempdir().unwrap().keep();
        let guard = Guard::post(&directory).unwrap();
        let (mut stranger, mut released, mut watched) = (sleeper(), sleeper(), sleeper());
        for child in [&released, &watched] {
            guard.watch(Pid::from_child(child)).unwrap();
        }
        guard.release(Pid::from_child(&released)).unwrap();

        drop(guard);

        assert!(!watched.wait().unwrap().success(), "killed");
        for spared in [&mut stranger, &mut released] {
            assert_eq!(spared.try_wait().unwrap(), None, "not ours to kill");
            spared.kill().unwrap();
            spared.wait().unwrap();
        }
        assert!(!directory.exists());
    }

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").process_group(0).spawn().unwrap()
    }
}
