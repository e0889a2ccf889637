//! Keys and tokens: files and directories that nobody but their owner may read.

use std::{
    fs::{DirBuilder, File, Metadata},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::Path,
};

use zeroize::Zeroizing;

use super::{FileError, uid};

/// The content of a file that only its owner can read, wiped from memory when it is dropped.
///
/// The file that is checked is the file that is read: both go by one open descriptor.
///
/// # Errors
/// [`FileError::Shared`] if group or others have any access, [`FileError::Foreign`] if neither we nor root
/// own it, [`FileError::TooLarge`] above 1 MiB, [`FileError::Unreadable`].
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = File::open(path).map_err(|source| unreadable(path, source))?;
    let metadata = file.metadata().map_err(|source| unreadable(path, source))?;
    refuse(path, &metadata)?;
    read_bounded(path, file, &metadata)
}

/// All of an open file, which must not be larger than 1 MiB.
pub(super) fn read_bounded(
    path: &Path,
    file: File,
    metadata: &Metadata,
) -> Result<Zeroizing<Vec<u8>>, FileError> {
    // Room for all of it at once: a vector that grows leaves copies of the key behind.
    let mut content = Zeroizing::new(Vec::with_capacity(capacity(metadata)));
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut content);
    match read.map_err(|source| unreadable(path, source))? as u64 {
        ..=MAX_BYTES => Ok(content),
        _ => Err(FileError::TooLarge { path: path.to_owned(), max_bytes: MAX_BYTES }),
    }
}

/// Refuses a file or directory that group or others can read or write, or that is not ours.
///
/// # Errors
/// As [`read_private`].
pub fn refuse_if_shared(path: &Path) -> Result<(), FileError> {
    let metadata = path.metadata().map_err(|source| unreadable(path, source))?;
    refuse(path, &metadata)
}

/// Makes a directory that only this process' user can enter, with its parents; one that exists must be
/// private.
///
/// # Errors
/// As [`refuse_if_shared`]; [`FileError::Unwritable`] if it cannot be made.
pub fn create_private_directory(path: &Path) -> Result<(), FileError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| FileError::Unwritable { path: path.to_owned(), uid: uid(), source })?;
    refuse_if_shared(path)
}

fn refuse(path: &Path, metadata: &Metadata) -> Result<(), FileError> {
    refuse_to(uid(), path, metadata)
}

fn refuse_to(uid: u32, path: &Path, metadata: &Metadata) -> Result<(), FileError> {
    let (path, owner) = (path.to_owned(), metadata.uid());
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
        return Err(FileError::Shared { path, mode, owner, uid, wanted });
    }
    if owner != uid && owner != 0 {
        return Err(FileError::Foreign { path, owner, uid });
    }
    Ok(())
}

fn capacity(metadata: &Metadata) -> usize {
    usize::try_from(metadata.len().min(MAX_BYTES)).unwrap_or_default() + 1
}

pub(super) fn unreadable(path: &Path, source: io::Error) -> FileError {
    FileError::Unreadable { path: path.to_owned(), uid: uid(), source }
}

/// The largest chain and key that anybody has is a few tens of kilobytes.
const MAX_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt,
        path::PathBuf,
    };

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_file_that_group_or_others_may_touch_is_refused_with_the_remedy() {
        for mode in [0o640, 0o620, 0o604, 0o602, 0o610] {
            let (_directory, path) = file_of(b"key", mode);

            let message = read_private(&path).unwrap_err().to_string();

            assert!(message.contains(&format!("mode {mode:04o}")), "{message}");
            assert!(message.contains(&format!("uid {}", uid())), "{message}");
            assert!(message.ends_with(&format!("Run `chmod 0600 {}`", path.display())), "{message}");
        }
    }

    #[test]
    fn a_private_file_is_read() {
        for mode in [0o600, 0o400] {
            let (_directory, path) = file_of(b"key", mode);
            assert_eq!(read_private(&path).unwrap().as_slice(), b"key");
        }
    }

    #[test]
    fn one_mebibyte_is_read_and_a_byte_more_is_refused() {
        let (_directory, path) = file_of(&vec![7; 1 << 20], 0o600);
        assert_eq!(read_private(&path).unwrap().len(), 1 << 20);

        let (_directory, path) = file_of(&vec![7; (1 << 20) + 1], 0o600);
        assert!(matches!(read_private(&path), Err(FileError::TooLarge { .. })));
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let (_directory, path) = file_of(b"key", 0o600);
        if uid() == 0 {
            std::os::unix::fs::chown(&path, Some(4242), None).unwrap(); // root's own files are trusted by all
            assert!(matches!(read_private(&path), Err(FileError::Foreign { owner: 4242, .. })));
        }

        let metadata = path.metadata().unwrap();
        let owner = metadata.uid();
        assert!(refuse_to(owner, &path, &metadata).is_ok());
        let refused = refuse_to(owner + 1, &path, &metadata).unwrap_err();
        assert!(matches!(refused, FileError::Foreign { uid, .. } if uid == owner + 1), "{refused}");
    }

    #[test]
    fn an_absent_file_is_named() {
        let message = read_private(Path::new("/nonexistent/key.pem")).unwrap_err().to_string();

        assert!(message.starts_with("cannot read /nonexistent/key.pem as uid "), "{message}");
    }

    #[test]
    fn a_directory_is_made_private_and_a_shared_one_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state/ca");
        create_private_directory(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        create_private_directory(&path).unwrap();

        fs::set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
        let message = create_private_directory(&path).unwrap_err().to_string();
        assert!(message.ends_with(&format!("Run `chmod 0700 {}`", path.display())), "{message}");
    }

    fn file_of(content: &[u8], mode: u32) -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }
}
