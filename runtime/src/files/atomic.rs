//! Writing a file so that a reader, or a crash at any step, sees the old content or the new and nothing else.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use super::{FileError, uid};

/// Writes `content` to `path` with exactly the permission bits `mode`, whatever the umask.
///
/// A temporary file beside it (`.<name>.XXXXXX.tmp`, never open to more than its owner before it is whole) is
/// written, synced and renamed over `path`; then the directory is synced. After a return the content survives
/// a loss of power; a crash before it leaves the old content, and at worst a temporary file that nobody
/// reads: [`remove_leftovers`].
///
/// # Errors
/// [`FileError::Unwritable`]; the old content is untouched unless only the last sync failed.
pub fn write_atomically(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    replace(path, content, mode).map_err(|source| unwritable(path, source))
}

/// Removes the temporary files that crashes of [`write_atomically`] left in `directory`, which may hold keys.
///
/// Call it only while nobody writes there: at start, under the lock of the directory.
///
/// # Errors
/// [`FileError::Unwritable`]: the directory cannot be listed, or a file in it not removed.
pub fn remove_leftovers(directory: &Path) -> Result<(), FileError> {
    let remove = || {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(is_temporary) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    };
    remove().map_err(|source| unwritable(directory, source))
}

fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let (directory, name) = (directory_of(path), path.file_name().unwrap_or_default().to_string_lossy());
    let (prefix, suffix) = (format!(".{name}."), SUFFIX);
    let mut temporary = tempfile::Builder::new().prefix(&prefix).suffix(suffix).tempfile_in(directory)?;
    temporary.write_all(content)?;
    temporary.as_file().set_permissions(Permissions::from_mode(mode))?;
    temporary.as_file().sync_all()?;
    temporary.persist(path)?;
    File::open(directory)?.sync_all()
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(SUFFIX)
}

fn unwritable(path: &Path, source: io::Error) -> FileError {
    FileError::Unwritable { path: path.to_owned(), uid: uid(), source }
}

const SUFFIX: &str = ".tmp";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_content_and_exactly_the_mode() {
        let directory = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o644, 0o666] {
            let path = directory.path().join("key.pem");
            write_atomically(&path, &mode.to_string().into_bytes(), mode).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), mode.to_string());
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        }
    }

    #[test]
    fn a_reader_during_a_hundred_writes_sees_only_whole_contents() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        write_atomically(&path, &[b'0'; 100_000], 0o600).unwrap();

        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                (1..=100u8).for_each(|n| write_atomically(&path, &[b'0' + n % 10; 100_000], 0o600).unwrap());
            });
            while !writer.is_finished() {
                let seen = fs::read(&path).unwrap();
                assert!(seen.len() == 100_000 && seen.iter().all(|byte| *byte == seen[0]), "a torn file");
            }
        });
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_content_and_no_temporary_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("occupied");
        fs::create_dir(&path).unwrap(); // a rename over a directory fails

        let error = write_atomically(&path, b"new", 0o600).unwrap_err();

        assert!(matches!(error, FileError::Unwritable { .. }), "{error}");
        assert_eq!(names_in(directory.path()), ["occupied"]);
    }

    #[test]
    fn what_a_crash_left_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["key.pem", ".key.pem.a1b2c3.tmp", ".hidden", "notes.tmp"] {
            fs::write(directory.path().join(name), "x").unwrap();
        }

        remove_leftovers(directory.path()).unwrap();

        assert_eq!(names_in(directory.path()), [".hidden", "key.pem", "notes.tmp"]);
    }

    #[test]
    fn a_path_without_a_directory_is_beside_the_process() {
        assert_eq!(directory_of(Path::new("root-cert.pem")), Path::new("."));
    }

    fn names_in(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}
