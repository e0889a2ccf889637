//! Binding a socket where another one may lie, without a moment in which nobody can connect.

mod directory;

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{FileTypeExt, PermissionsExt, lchown},
    path::{Path, PathBuf},
    process,
};

use signet_runtime::config::Mode;
use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// Who may connect to a socket, as the file system says; root may in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    /// Its permission bits; whoever may write may connect (unix(7)).
    pub(crate) mode: Mode,
    /// Whom it belongs to. `None`: to this process's user.
    pub(crate) owner: Option<u32>,
}

/// Listens on a new socket at `path`, in place of one that nobody serves any more.
///
/// The socket is made beside the path, given its mode and owner before it listens, and then renamed over it: a peer
/// finds the old one or the new one, and never one that is too open. What is not a dead socket is left alone.
/// Nothing is removed at the end of the process, because by then the path may be the next process's socket.
pub(crate) async fn bind(path: &Path, access: Access) -> Result<UnixListener, SocketError> {
    judge(path)?;
    directory::prepare(path)?;
    refuse_what_is_not_ours(path).await?;
    let new = beside(path, process::id());
    remove_dead(&new).await?;
    put(&new, path, access).inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })
}

/// Whether [`bind`] would refuse the path, as far as that shows without making anything, and without asking who
/// serves a socket that lies there.
pub(crate) fn judge(path: &Path) -> Result<(), SocketError> {
    for path in [path, &beside(path, LONGEST_PID)] {
        if path.as_os_str().len() > MAX_PATH_BYTES {
            return Err(SocketError::LongPath { path: path.to_owned() });
        }
    }
    directory::judge(path)?;
    is_socket(path).map(drop)
}

fn put(new: &Path, path: &Path, access: Access) -> Result<UnixListener, SocketError> {
    let failed = |source| SocketError::Bind { path: path.to_owned(), source };
    let socket = UnixSocket::new_stream().map_err(failed)?;
    socket.bind(new).map_err(failed)?;
    // While it is still ours, and so nobody else can put another file in its place.
    fs::set_permissions(new, Permissions::from_mode(access.mode.bits())).map_err(failed)?;
    if let Some(uid) = access.owner {
        let kept = |source| SocketError::Owner { path: path.to_owned(), uid, source };
        lchown(new, Some(uid), None).map_err(kept)?;
    }
    // Nobody can connect before.
    let listener = socket.listen(BACKLOG).map_err(failed)?;
    fs::rename(new, path).map_err(failed)?;
    Ok(listener)
}

/// Leaves only what may be replaced: nothing, or a socket that nobody listens on. Never waits: a listener whose
/// backlog is full is told from one that is gone (connect(2), EAGAIN).
async fn refuse_what_is_not_ours(path: &Path) -> Result<(), SocketError> {
    if !is_socket(path)? {
        return Ok(());
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(SocketError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(SocketError::InUse { path: path.to_owned() })
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(SocketError::Unknowable { path: path.to_owned() })
        }
        Err(source) => Err(SocketError::Bind { path: path.to_owned(), source }),
    }
}

/// Whether something lies there; nothing but a socket may.
fn is_socket(path: &Path) -> Result<bool, SocketError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => Ok(true),
        Ok(_) => Err(SocketError::NotASocket { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(SocketError::Bind { path: path.to_owned(), source }),
    }
}

/// A process of this pid may have died between bind and rename.
async fn remove_dead(new: &Path) -> Result<(), SocketError> {
    refuse_what_is_not_ours(new).await?;
    match fs::remove_file(new) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(SocketError::Bind { path: new.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// In the same directory, so that the rename replaces at once.
fn beside(path: &Path, pid: u32) -> PathBuf {
    path.with_file_name(format!(".{pid}"))
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    /// Something else lies there.
    #[error("{} is not a socket and is left alone; remove it, or set another `path` of `[[socket]]` (a directory appears there when a pod mounts the socket before the agent makes it: mount its directory, with `readOnly: true`)", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Another process serves it.
    #[error("another process listens on {}; stop it, or set another `path` of `[[socket]]`", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// It was given to another user, and this process may not even ask.
    #[error("may not connect to the socket {} to see whether a process serves it; stop that process if there is one and remove the socket, or run the agent as the user that it belongs to, or as root with CAP_DAC_OVERRIDE", path.display())]
    Unknowable {
        /// The path.
        path: PathBuf,
    },
    /// No proxy could connect, or no socket be made: the address of one has room for no more (unix(7)).
    #[error("the path {} is longer than {MAX_PATH_BYTES} bytes (a socket has the agent's pid for a name until it is in its place); set a shorter `path` of `[[socket]]`", path.display())]
    LongPath {
        /// The socket's, or that beside it.
        path: PathBuf,
    },
    /// There is no directory for it.
    #[error("cannot make the directory {}; make it, or let the agent's user write above it", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others could put their own socket in its place.
    #[error("group or others may write in {} (mode {mode:04o}), and so put a socket of their own in the place of the agent's, or a folder in the place of the socket's; `chmod go-w` it or `chmod +t` it (a Kubernetes emptyDir: in an init container that runs as root), and let pods mount it with `readOnly: true`; or set another `path` of `[[socket]]`", path.display())]
    SharedDirectory {
        /// The directory: the socket's, or one on the way to it.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its owner could do the same.
    #[error("{} belongs to uid {owner}, who could put a socket of their own in the place of the agent's; `chown` it to root or to uid {uid}, which the agent runs as (a link: `chown -h`), or set another `path` of `[[socket]]`", path.display())]
    ForeignDirectory {
        /// The directory, or the link: the socket's, or one on the way to it.
        path: PathBuf,
        /// Whom it belongs to.
        owner: u32,
        /// Who runs this process.
        uid: u32,
    },
    /// It is for another user alone, and stays ours.
    #[error("cannot give {} to uid {uid}, the only one of `allowed_uids` that its `mode` lets in; run the agent as root (with CAP_CHOWN, and CAP_DAC_OVERRIDE for the next start) or as uid {uid}", path.display())]
    Owner {
        /// The socket.
        path: PathBuf,
        /// Whom it is for.
        uid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// Another step failed.
    #[error("cannot listen on {}; its directory must be writable for the agent's user", path.display())]
    Bind {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// `sun_path` of Linux has 108 bytes, the last of which is zero.
const MAX_PATH_BYTES: usize = 107;
/// The most that Linux can be told to give (`kernel.pid_max`): what is good for one process is good for all.
const LONGEST_PID: u32 = 4_194_304;
/// What Linux allows by default (`net.core.somaxconn`): all proxies of a node return at once after a restart.
const BACKLOG: u32 = 4096;

#[cfg(test)]
mod tests;
