//! The directory of a socket: every proxy must find the socket in it, and nobody may put another in its place.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

use super::SocketError;

/// Makes the directory with all that is missing above it, searchable for everybody. Refuses one that others may
/// write in, there or further up: whoever may rename there may put a socket of their own in the place of ours and
/// collect tokens. In a sticky directory nobody can rename what belongs to another (inode(7)).
pub(super) fn prepare(socket: &Path) -> Result<(), SocketError> {
    let Some(parent) = socket.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return refuse_if_others_may_replace(Path::new("."));
    };
    make(parent).map_err(|source| SocketError::Directory { path: parent.to_owned(), source })?;
    refuse_if_others_may_replace(parent)
}

fn make(directory: &Path) -> io::Result<()> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = directory.ancestors().take_while(is_missing).collect();
    for path in missing.into_iter().rev() {
        match DirBuilder::new().mode(MODE).create(path) {
            // Whatever the umask took from it.
            Ok(()) => fs::set_permissions(path, Permissions::from_mode(MODE))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Looks at the path as it is written and as it resolves: links count as well.
fn refuse_if_others_may_replace(directory: &Path) -> Result<(), SocketError> {
    let unreadable = |source| SocketError::Directory { path: directory.to_owned(), source };
    let resolved = directory.canonicalize().map_err(unreadable)?;
    let written = directory.ancestors().filter(|path| !path.as_os_str().is_empty());
    for path in written.chain(resolved.ancestors()) {
        let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o7777;
        let (shared, sticky) = (mode & 0o022 != 0, mode & 0o1000 != 0);
        if shared && !sticky {
            return Err(SocketError::SharedDirectory { path: path.to_owned(), mode });
        }
    }
    Ok(())
}

const MODE: u32 = 0o755;
