//! The file: appended to as a whole or not at all, by one process, and followed when it is rotated.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use signet_runtime::{files, telemetry::chain};

use super::Durability;

/// The log as the audit thread holds it.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    durability: Durability,
    file: File,
    /// Device and inode of `file`.
    node: (u64, u64),
    /// A part of a line stands at the end and could not be taken back.
    torn: bool,
}

impl LogFile {
    /// Opens `path` for appending, and makes it (0600) if it is not there. A file is locked for as long as it
    /// is open: half a line that one process takes back could be another's. Pipes and devices are not.
    pub(super) fn open(path: &Path, durability: Durability) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        if durability == Durability::Disk {
            File::open(directory_of(path))?.sync_all()?;
        }
        let metadata = file.metadata()?;
        if metadata.is_file() {
            lock(&file)?;
        }
        let node = (metadata.dev(), metadata.ino());
        Ok(Self { path: path.to_owned(), durability, file, node, torn: false })
    }

    /// Where it is, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends all of `lines` durably. On an error nothing of them remains.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.follow_rotation()?;
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        let mut left = lines;
        let written = self.write(&mut left).and_then(|()| self.sync());
        if written.is_err() {
            // A pipe or a device cannot be shortened: then a newline at least ends what got through.
            self.torn = self.take_back(lines.len() - left.len()).is_err();
        }
        written
    }

    /// Writes all of `left`, of which nothing is left then.
    fn write(&mut self, left: &mut &[u8]) -> io::Result<()> {
        while !left.is_empty() {
            match self.file.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => *left = left.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Cuts the last `bytes` off. How long the file is, is asked only here: others may have shortened it.
    fn take_back(&self, bytes: usize) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        self.file.set_len(length.saturating_sub(bytes as u64))
    }

    fn sync(&self) -> io::Result<()> {
        match self.durability {
            Durability::OperatingSystem => Ok(()),
            Durability::Disk => self.file.sync_data(),
        }
    }

    /// Opens the path anew when it no longer leads to the open file. A file that others may read or write is
    /// taken here, with a warning: the CA goes on issuing.
    fn follow_rotation(&mut self) -> io::Result<()> {
        match fs::metadata(&self.path) {
            Ok(metadata) if (metadata.dev(), metadata.ino()) == self.node => Ok(()),
            _ => {
                *self = Self::open(&self.path, self.durability)?;
                if self.path.is_file()
                    && let Err(shared) = files::refuse_if_shared(&self.path)
                {
                    tracing::warn!(fault = %chain(&shared), "the audit log was rotated to a file that is not private");
                }
                Ok(())
            }
        }
    }
}

/// Takes the lock of the file at `path` for a moment. What is not there, pipes and devices have none.
pub(super) fn judge_lock(path: &Path) -> io::Result<()> {
    if !path.is_file() {
        return Ok(());
    }
    lock(&File::options().append(true).open(path)?)
}

fn lock(file: &File) -> io::Result<()> {
    file.try_lock().map_err(|refused| match refused {
        TryLockError::WouldBlock => io::Error::new(io::ErrorKind::ResourceBusy, "another process writes it"),
        TryLockError::Error(error) => error,
    })
}

/// The parent of a bare file name is empty, and stands for the working directory.
fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, io::Read, os::unix::fs::PermissionsExt, process::Command, thread};

    use signet_runtime::testing::CapturedLog;

    use super::*;

    fn fifo(directory: &Path) -> PathBuf {
        let path = directory.join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    fn reader(fifo: &Path) -> File {
        // Read and write, so that opening waits for nobody.
        File::options().read(true).write(true).open(fifo).unwrap()
    }

    #[test]
    fn a_new_log_is_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");

        LogFile::open(&path, Durability::Disk).unwrap().append(b"{}\n").unwrap();

        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_bare_file_name_is_of_the_working_directory() {
        let file = tempfile::NamedTempFile::new_in(".").unwrap();
        let name = Path::new(file.path().file_name().unwrap());

        LogFile::open(name, Durability::Disk).unwrap().append(b"{}\n").unwrap();

        assert_eq!(fs::read(file.path()).unwrap(), b"{}\n");
    }

    #[test]
    fn a_renamed_log_is_followed_by_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let (path, old) = (directory.path().join("audit.log"), directory.path().join("audit.log.1"));
        let mut log = LogFile::open(&path, Durability::OperatingSystem).unwrap();
        log.append(b"before\n").unwrap();
        fs::rename(&path, &old).unwrap();
        log.append(b"after\n").unwrap();

        assert_eq!(fs::read(&old).unwrap(), b"before\n");
        assert_eq!(fs::read(&path).unwrap(), b"after\n");
    }

    #[test]
    fn a_log_that_is_rotated_to_a_file_of_all_is_written_and_warned_of_once() {
        let directory = tempfile::tempdir().unwrap();
        let (path, next) = (directory.path().join("audit.log"), directory.path().join("next"));
        let mut log = LogFile::open(&path, Durability::OperatingSystem).unwrap();
        let captured = CapturedLog::begin();
        for (mode, warnings) in [(0o600, 0), (0o644, 1)] {
            fs::write(&next, "").unwrap();
            fs::set_permissions(&next, Permissions::from_mode(mode)).unwrap();
            fs::rename(&next, &path).unwrap();
            log.append(b"one\n").unwrap();
            log.append(b"two\n").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n", "{mode:o}");
            let lines = captured.text();
            assert_eq!(lines.matches("not private").count(), warnings, "{mode:o}: {lines}");
            assert_eq!(lines.matches("chmod 0600").count(), warnings, "{mode:o}: {lines}");
        }
    }

    #[test]
    fn a_log_that_is_written_already_is_refused_before_and_after_a_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let (path, old) = (directory.path().join("audit.log"), directory.path().join("audit.log.1"));
        let open = |path: &Path| LogFile::open(path, Durability::OperatingSystem);
        let mut log = open(&path).unwrap();
        assert_eq!(open(&path).unwrap_err().kind(), io::ErrorKind::ResourceBusy);

        fs::rename(&path, &old).unwrap();
        log.append(b"after\n").unwrap();

        assert_eq!(open(&path).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        open(&old).unwrap();
        drop(log);
        open(&path).unwrap();
    }

    #[test]
    fn a_device_has_room_for_two() {
        let null = Path::new("/dev/null");
        let _first = LogFile::open(null, Durability::OperatingSystem).unwrap();
        LogFile::open(null, Durability::OperatingSystem).unwrap();
    }

    #[test]
    fn with_disk_durability_a_sync_that_fails_is_a_write_that_fails() {
        let directory = tempfile::tempdir().unwrap();
        let path = fifo(directory.path());
        let _reader = reader(&path);
        // A pipe takes every write and no fsync (EINVAL).
        LogFile::open(&path, Durability::OperatingSystem).unwrap().append(b"{}\n").unwrap();
        LogFile::open(&path, Durability::Disk).unwrap().append(b"{}\n").unwrap_err();
    }

    #[test]
    fn half_a_line_that_cannot_be_taken_back_is_ended_before_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let path = fifo(directory.path());
        let first_reader = reader(&path);
        let mut log = LogFile::open(&path, Durability::OperatingSystem).unwrap();
        let writing = thread::spawn(move || {
            let failed = log.append(&[b'x'; 1 << 20]);
            (log, failed)
        });
        let mut arrived = [0; 1];
        (&first_reader).read_exact(&mut arrived).unwrap();
        drop(first_reader);
        let (mut log, failed) = writing.join().unwrap();
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::BrokenPipe);

        let mut second_reader = reader(&path);
        let next = thread::spawn(move || log.append(b"next\n"));
        let mut read = Vec::new();
        while !read.ends_with(b"next\n") {
            let mut piece = [0; 4096];
            let length = second_reader.read(&mut piece).unwrap();
            read.extend_from_slice(&piece[..length]);
        }

        next.join().unwrap().unwrap();
        assert!(read.ends_with(b"x\nnext\n"));
    }
}
