//! The directory of a socket: every proxy must find the socket in it, and nobody may put another in its place.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, Metadata, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{self, Component, Path, PathBuf},
};

use rustix::{
    fs::{Access, access},
    io::Errno,
    process::geteuid,
};

use super::SocketError;

/// Makes the directory with all that is missing above it, searchable for everybody. Refuses it, before anything is
/// made in it, if somebody else could put a socket of their own in the place of ours and collect tokens.
pub(super) fn prepare(socket: &Path) -> Result<(), SocketError> {
    while let Some(missing) = first_missing(socket)? {
        make(&missing).map_err(|source| SocketError::Directory { path: missing, source })?;
    }
    Ok(())
}

/// Whether [`prepare`] would do its work, and a socket could be made in the directory then.
pub(super) fn judge(socket: &Path) -> Result<(), SocketError> {
    match first_missing(socket)? {
        Some(missing) => {
            writable(&missing).map_err(|source| SocketError::Directory { path: missing, source })
        }
        None => writable(socket).map_err(|source| SocketError::Bind { path: socket.to_owned(), source }),
    }
}

/// Whether what is at `path` can be made there.
fn writable(path: &Path) -> io::Result<()> {
    let directory = path.parent().unwrap_or(path).join(".");
    access(directory, Access::WRITE_OK | Access::EXEC_OK).map_err(Into::into)
}

/// The first directory that is missing on the way to the socket. Goes the way of the system (path_resolution(7)), one
/// name at a time: whoever may rename one of the directories on it, or owns a link on it, decides where it leads.
fn first_missing(socket: &Path) -> Result<Option<PathBuf>, SocketError> {
    let failed = |path: &Path, source| SocketError::Directory { path: path.to_owned(), source };
    let whole = path::absolute(socket).map_err(|source| failed(socket, source))?;
    let (mut here, mut ahead) = (PathBuf::new(), names(whole.parent().unwrap_or(&whole)));
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            here.pop(); // no link stands in it
            continue;
        }
        let next = here.join(&name);
        let metadata = match fs::symlink_metadata(&next) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(next)),
            Err(error) => return Err(failed(&next, error)),
        };
        refuse_if_others_may_replace(&next, &metadata)?;
        if metadata.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(failed(&next, Errno::LOOP.into()));
            }
            ahead.extend(names(&fs::read_link(&next).map_err(|source| failed(&next, source))?));
        } else if metadata.is_dir() {
            here = next;
        } else {
            return Err(failed(&next, io::ErrorKind::NotADirectory.into()));
        }
    }
    Ok(None)
}

/// The last one first. The root is a name that leads there from everywhere.
fn names(path: &Path) -> Vec<OsString> {
    let names = path.components().filter(|component| *component != Component::CurDir);
    names.rev().map(|component| component.as_os_str().to_owned()).collect()
}

/// The owner may do anything. In a sticky directory nobody else can rename what is not theirs (inode(7)). Nobody
/// writes in a link, whatever its mode says.
fn refuse_if_others_may_replace(path: &Path, metadata: &Metadata) -> Result<(), SocketError> {
    let (owner, uid) = (metadata.uid(), geteuid().as_raw());
    if owner != 0 && owner != uid {
        return Err(SocketError::ForeignDirectory { path: path.to_owned(), owner, uid });
    }
    let mode = metadata.mode() & 0o7777;
    let (shared, sticky) = (mode & 0o022 != 0, mode & 0o1000 != 0);
    if shared && !sticky && !metadata.is_symlink() {
        return Err(SocketError::SharedDirectory { path: path.to_owned(), mode });
    }
    Ok(())
}

/// In a directory that was judged, so that what was made is what gets its mode.
fn make(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(MODE).create(directory) {
        // Whatever the umask took from it.
        Ok(()) => fs::set_permissions(directory, Permissions::from_mode(MODE)),
        // Somebody else was faster: it is judged as what was there before.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

const MODE: u32 = 0o755;
/// As many as Linux follows.
const MOST_LINKS: u32 = 40;
