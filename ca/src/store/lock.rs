//! The lock of a state directory.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::StoreError;

/// Held until dropped, or until the process ends in whatever way: the operating system takes it back.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock of `directory`, or says who has it.
    pub(super) fn take(directory: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Directory { directory: directory.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path(directory))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse { directory: directory.to_owned(), holder: written(file) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // Only for the message that another process shows: not knowing it is no reason to fail.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

/// The process that has the state directory `directory` open, if the kernel shows it to this one
/// (proc_locks(5)). The lock is not taken for it: a start at the same moment would miss it.
pub fn holder(directory: &Path) -> Option<u32> {
    let lock = File::open(path(directory)).ok()?;
    let inode = lock.metadata().ok()?.ino().to_string();
    let holder = written(lock)?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().any(|line| is_held(line, &inode, &holder.to_string())).then_some(holder)
}

/// Whether a line of `/proc/locks` (`2: FLOCK ADVISORY WRITE 1736 fe:00:5308433 0 EOF`) is of that lock. The
/// device is left out: some file systems show another there than to stat(2).
fn is_held(line: &str, inode: &str, holder: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_number, "FLOCK", _advisory, _write, pid, file, ..] = fields[..] else { return false };
    pid == holder && file.rsplit(':').next() == Some(inode)
}

fn written(lock: File) -> Option<u32> {
    let mut pid = String::new();
    lock.take(32).read_to_string(&mut pid).ok()?;
    pid.trim().parse().ok()
}

fn path(directory: &Path) -> PathBuf {
    directory.join("lock")
}
