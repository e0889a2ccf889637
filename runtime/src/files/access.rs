//! Whether this process may write where it will have to: asked beforehand, and without leaving a trace.

use std::{io, path::Path};

use rustix::fs::{Access, access};

use super::{FileError, private::refuse_if_shared, uid};

/// Whether [`create_private_directory`](super::create_private_directory) would make or take `path`, and files
/// can be made in it.
///
/// # Errors
/// As there.
pub fn judge_private_directory(path: &Path) -> Result<(), FileError> {
    if path.exists() {
        refuse_if_shared(path)?;
    }
    judge_directory(path, path.ancestors().find(|ancestor| ancestor.exists()))
}

/// Whether `path` is, or can be made, a file that is read and appended to, by its owner alone. A pipe or a
/// device may be anybody's.
///
/// # Errors
/// [`FileError::Unwritable`]; for a file that is there also as [`refuse_if_shared`].
pub fn judge_log_file(path: &Path) -> Result<(), FileError> {
    if !path.exists() {
        return judge_directory(path, path.parent());
    }
    if path.is_dir() {
        return Err(unwritable(path, io::ErrorKind::IsADirectory.into()));
    }
    if path.is_file() {
        refuse_if_shared(path)?;
    }
    access(path, Access::READ_OK | Access::WRITE_OK).map_err(|error| unwritable(path, error.into()))
}

/// Whether `path` can be made in `directory`; an empty one is where the process works.
fn judge_directory(path: &Path, directory: Option<&Path>) -> Result<(), FileError> {
    // The dot has the system say so when it is no directory.
    let inside = directory.unwrap_or(Path::new("")).join(".");
    access(inside, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| unwritable(path, error.into()))
}

fn unwritable(path: &Path, source: io::Error) -> FileError {
    FileError::Unwritable { path: path.to_owned(), uid: uid(), source }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt,
    };

    use super::*;

    fn told(judged: Result<(), FileError>) -> String {
        let error = judged.unwrap_err();
        crate::telemetry::chain(&error).to_string()
    }

    #[test]
    fn a_directory_that_can_be_made_is_good_and_is_not_made() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state/ca");

        judge_private_directory(&path).unwrap();

        assert!(!parent.path().join("state").exists());
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_refused_as_the_start_would() {
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(parent.path(), Permissions::from_mode(0o755)).unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o700)).unwrap();
        for (case, path, reason) in [
            ("open to others", parent.path(), "chmod 0700"),
            ("a file in its place", &file, "Not a directory"),
            ("a file on the way", &file.join("state"), "Not a directory"),
        ] {
            let judged = told(judge_private_directory(path));

            assert!(judged.contains(reason), "{case}: {judged}");
            assert!(super::super::create_private_directory(path).is_err(), "{case}");
        }
    }

    #[test]
    fn a_log_file_is_judged_by_itself_or_by_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for (name, mode) in [("there", 0o600), ("read by a group", 0o640), ("written by others", 0o602)] {
            fs::write(at(name), "").unwrap();
            fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
        }
        for (case, path, reason) in [
            ("there", at("there"), None),
            ("a device", "/dev/null".into(), None),
            ("read by a group", at("read by a group"), Some("Run `chmod 0600")),
            ("written by others", at("written by others"), Some("Run `chmod 0600")),
            ("absent", at("absent"), None),
            ("a directory", directory.path().to_owned(), Some("directory")),
            ("in no directory", at("none/log"), Some("No such file or directory")),
            ("below a file", at("there/log"), Some("Not a directory")),
        ] {
            match reason {
                None => judge_log_file(&path).unwrap(),
                Some(reason) => {
                    let judged = told(judge_log_file(&path));
                    assert!(judged.contains(reason), "{case}: {judged}");
                }
            }
        }
        assert!(!at("absent").exists());
    }

    #[test]
    fn what_another_user_alone_may_write_is_refused() {
        if uid() == 0 {
            return; // root may write anything
        }
        assert!(told(judge_log_file(Path::new("/etc/passwd"))).contains("open to group or others"));
        assert!(told(judge_private_directory(Path::new("/etc/signet"))).contains("Permission denied"));
    }
}
