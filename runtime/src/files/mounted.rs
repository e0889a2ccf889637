//! Files that somebody else put in place for this process to read, as Kubernetes mounts Secrets and
//! ConfigMaps.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use zeroize::Zeroizing;

use super::{
    FileError,
    private::{read_bounded, unreadable},
    uid,
};

/// A file as it was found.
pub struct Mounted {
    /// Wiped from memory when it is dropped.
    pub content: Zeroizing<Vec<u8>>,
    /// Whether every user of the machine, or of the container, may read it.
    pub readable_by_all: bool,
}

/// The content of a regular file that not everybody may write.
///
/// Mode 0600 is not demanded: Kubernetes gives the files of a Secret to root with mode 0644, or 0440 with
/// `fsGroup`, and says by the mount who sees them. Who could write them would decide what this process
/// trusts.
///
/// # Errors
/// [`FileError::WritableByAll`], [`FileError::TooLarge`] above 1 MiB, [`FileError::Unreadable`].
pub fn read_mounted(path: &Path) -> Result<Mounted, FileError> {
    // Opening a pipe would wait for somebody to write it.
    if !path.metadata().map_err(|source| unreadable(path, source))?.is_file() {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
        return Err(unreadable(path, source));
    }
    let file = File::open(path).map_err(|source| unreadable(path, source))?;
    let metadata = file.metadata().map_err(|source| unreadable(path, source))?;
    refuse_if_all_may_write(path, &metadata)?;
    let content = read_bounded(path, file, &metadata)?;
    Ok(Mounted { content, readable_by_all: metadata.mode() & 0o004 != 0 })
}

/// Refuses a directory in which everybody may replace the files; with the sticky bit, as the root of a
/// mounted Secret has it, only their owners may.
///
/// # Errors
/// [`FileError::WritableByAll`], [`FileError::Unreadable`].
pub fn judge_mounted_directory(path: &Path) -> Result<(), FileError> {
    let metadata = path.metadata().map_err(|source| unreadable(path, source))?;
    if !metadata.is_dir() {
        return Err(unreadable(path, io::ErrorKind::NotADirectory.into()));
    }
    if metadata.mode() & 0o1000 != 0 { Ok(()) } else { refuse_if_all_may_write(path, &metadata) }
}

fn refuse_if_all_may_write(path: &Path, metadata: &Metadata) -> Result<(), FileError> {
    if metadata.mode() & 0o002 == 0 {
        return Ok(());
    }
    let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
    Err(FileError::WritableByAll { path: path.to_owned(), mode, owner, uid: uid() })
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt, symlink},
        path::PathBuf,
    };

    use super::*;

    fn file_of(directory: &Path, content: &[u8], mode: u32) -> PathBuf {
        let path = directory.join("tls.key");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_file_that_not_everybody_may_write_is_read_and_told_whether_everybody_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        for (mode, readable_by_all) in [(0o400, false), (0o440, false), (0o660, false), (0o644, true)] {
            let path = file_of(directory.path(), b"key", 0o600);
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();

            let mounted = read_mounted(&path).unwrap();

            assert_eq!(mounted.content.as_slice(), b"key", "{mode:o}");
            assert_eq!(mounted.readable_by_all, readable_by_all, "{mode:o}");
            fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_file_or_directory_that_everybody_may_write_is_refused_with_the_remedy() {
        let directory = tempfile::tempdir().unwrap();
        for mode in [0o602, 0o666] {
            let path = file_of(directory.path(), b"key", mode);
            let message = read_mounted(&path).err().unwrap().to_string();
            assert!(message.contains(&format!("mode {mode:04o}")), "{message}");
            assert!(message.ends_with(&format!("Run `chmod o-w {}`", path.display())), "{message}");
        }
        for (mode, good) in [(0o755, true), (0o770, true), (0o1777, true), (0o777, false), (0o703, false)] {
            fs::set_permissions(directory.path(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(judge_mounted_directory(directory.path()).is_ok(), good, "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tls.key");
        assert!(matches!(read_mounted(&path), Err(FileError::Unreadable { .. })), "absent");
        assert!(matches!(read_mounted(directory.path()), Err(FileError::Unreadable { .. })), "a directory");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert!(matches!(read_mounted(&path), Err(FileError::Unreadable { .. })), "a pipe");
        assert!(matches!(judge_mounted_directory(&path), Err(FileError::Unreadable { .. })), "no directory");
    }

    #[test]
    fn one_mebibyte_is_read_through_a_link_and_a_byte_more_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        let path = file_of(directory.path(), &vec![7; 1 << 20], 0o600);
        symlink(&path, &link).unwrap();
        assert_eq!(read_mounted(&link).unwrap().content.len(), 1 << 20);

        file_of(directory.path(), &vec![7; (1 << 20) + 1], 0o600);
        assert!(matches!(read_mounted(&link), Err(FileError::TooLarge { .. })));
    }
}
