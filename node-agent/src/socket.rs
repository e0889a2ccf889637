//! Binding a socket where another one may lie, without a moment in which nobody can connect.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    process,
};

use signet_runtime::config::Mode;
use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// Listens on a new socket of that mode at `path`, in place of one that nobody serves any more.
///
/// The socket is made beside the path, given its mode before it listens, and then renamed over it: a peer
/// finds the old one or the new one, and never one that is too open. What is not a dead socket is left alone.
/// Nothing is removed at the end of the process, because by then the path may be the next process's socket.
pub(crate) async fn bind(path: &Path, mode: Mode) -> Result<UnixListener, SocketError> {
    if path.as_os_str().len() > MAX_PATH_BYTES {
        return Err(SocketError::LongPath { path: path.to_owned() });
    }
    make_parent(path)?;
    refuse_what_is_not_ours(path).await?;
    let new = beside(path);
    remove_dead(&new).await?;
    let listener =
        listen(&new, mode).map_err(|source| SocketError::Bind { path: path.to_owned(), source })?;
    fs::rename(&new, path).map_err(|source| {
        let _ = fs::remove_file(&new);
        SocketError::Bind { path: path.to_owned(), source }
    })?;
    Ok(listener)
}

/// Proxies of all users must find the socket; its own mode says who may use it.
fn make_parent(path: &Path) -> Result<(), SocketError> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else { return Ok(()) };
    let failed = |source| SocketError::Directory { path: parent.to_owned(), source };
    match fs::metadata(parent) {
        Ok(metadata) => refuse_if_others_may_replace(parent, metadata.permissions().mode()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(parent).map_err(failed)?;
            // Whatever the umask took from it.
            fs::set_permissions(parent, Permissions::from_mode(DIRECTORY_MODE)).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Whoever may rename in the directory may put a socket of their own in the place of ours and collect tokens.
fn refuse_if_others_may_replace(parent: &Path, mode: u32) -> Result<(), SocketError> {
    let (shared, sticky) = (mode & 0o022 != 0, mode & 0o1000 != 0);
    if shared && !sticky { Err(SocketError::SharedDirectory { path: parent.to_owned() }) } else { Ok(()) }
}

/// Leaves only what may be replaced: nothing, or a socket that nobody listens on. Never waits: a listener whose
/// backlog is full is told from one that is gone (connect(2), EAGAIN).
async fn refuse_what_is_not_ours(path: &Path) -> Result<(), SocketError> {
    let unreadable = |source| SocketError::Bind { path: path.to_owned(), source };
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error)),
    };
    if !kind.is_socket() {
        return Err(SocketError::NotASocket { path: path.to_owned() });
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(SocketError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(SocketError::InUse { path: path.to_owned() })
        }
        Err(error) => Err(unreadable(error)),
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

/// Nobody can connect before `listen`, so the mode is right from the first connection on.
fn listen(path: &Path, mode: Mode) -> io::Result<UnixListener> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode.bits()))?;
    socket.listen(BACKLOG)
}

/// In the same directory, so that the rename replaces at once.
fn beside(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{}", process::id()))
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
    /// No proxy could connect: the address of a Unix socket has room for no more (unix(7)).
    #[error("the path {} is longer than {MAX_PATH_BYTES} bytes; set a shorter `path` of `[[socket]]`", path.display())]
    LongPath {
        /// The path.
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
    #[error("group or others may write in {}, and so put a socket of their own there; `chmod go-w` it, and let pods mount it with `readOnly: true`", path.display())]
    SharedDirectory {
        /// The directory.
        path: PathBuf,
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
const DIRECTORY_MODE: u32 = 0o755;
/// What Linux allows by default (`net.core.somaxconn`): all proxies of a node return at once after a restart.
const BACKLOG: u32 = 4096;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    const MODE: Mode = Mode::of(0o640);

    fn folder() -> (TempDir, PathBuf) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("agent.sock");
        (folder, path)
    }

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_socket_has_its_mode_and_its_directory_lets_proxies_in() {
        let (folder, _) = folder();
        let path = folder.path().join("run/signet/agent.sock");
        let _listener = bind(&path, MODE).await.unwrap();
        assert_eq!(mode_of(&path), 0o640);
        assert_eq!(mode_of(path.parent().unwrap()), 0o755);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        UnixStream::connect(&path).await.unwrap();
    }

    #[tokio::test]
    async fn a_directory_in_which_others_may_write_is_refused_unless_it_is_sticky() {
        for (mode, good) in [(0o755, true), (0o775, false), (0o757, false), (0o1777, true)] {
            let (folder, path) = folder();
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            let bound = bind(&path, MODE).await;
            assert_eq!(bound.is_ok(), good, "{mode:o}: {bound:?}");
        }
    }

    #[tokio::test]
    async fn a_socket_that_nobody_serves_is_replaced() {
        let (_folder, path) = folder();
        drop(bind(&path, MODE).await.unwrap());
        assert!(UnixStream::connect(&path).await.is_err());
        let listener = bind(&path, MODE).await.unwrap();
        UnixStream::connect(&path).await.unwrap();
        listener.accept().await.unwrap();
    }

    #[tokio::test]
    async fn a_socket_that_somebody_serves_is_left_to_them() {
        let (_folder, path) = folder();
        let first = bind(&path, MODE).await.unwrap();
        assert!(matches!(bind(&path, MODE).await, Err(SocketError::InUse { .. })));
        UnixStream::connect(&path).await.unwrap();
        first.accept().await.unwrap();
    }

    #[tokio::test]
    async fn a_socket_whose_listener_accepts_nothing_is_in_use_and_is_not_waited_for() {
        let (_folder, path) = folder();
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&path).unwrap();
        let _deaf = socket.listen(0).unwrap();
        let mut waiting = Vec::new();
        while let Ok(connection) = UnixStream::connect(&path).await {
            waiting.push(connection);
        }
        assert!(matches!(bind(&path, MODE).await, Err(SocketError::InUse { .. })));
    }

    #[tokio::test]
    async fn what_is_not_a_socket_is_left_alone() {
        let (folder, path) = folder();
        let precious = folder.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        type Obstacle = fn(&Path, &Path);
        let make: [(&str, Obstacle); 3] = [
            ("a file", |path, _| fs::write(path, "precious").unwrap()),
            ("a directory", |path, _| fs::create_dir(path).unwrap()),
            ("a symbolic link", |path, precious| symlink(precious, path).unwrap()),
        ];
        for (name, make) in make {
            make(&path, &precious);
            assert!(matches!(bind(&path, MODE).await, Err(SocketError::NotASocket { .. })), "{name}");
            assert!(fs::symlink_metadata(&path).is_ok(), "{name} is still there");
            fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
        }
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    }

    #[tokio::test]
    async fn what_a_dead_process_left_half_made_is_replaced() {
        let (_folder, path) = folder();
        drop(listen(&beside(&path), MODE).unwrap());
        bind(&path, MODE).await.unwrap();
    }

    #[tokio::test]
    async fn a_path_that_no_proxy_could_connect_to_is_refused() {
        let (folder, _) = folder();
        let of_bytes =
            |bytes: usize| folder.path().join("a".repeat(bytes - folder.path().as_os_str().len() - 1));
        let _listener = bind(&of_bytes(MAX_PATH_BYTES), MODE).await.unwrap();
        UnixStream::connect(of_bytes(MAX_PATH_BYTES)).await.unwrap();
        let refused = bind(&of_bytes(MAX_PATH_BYTES + 1), MODE).await;
        assert!(matches!(refused, Err(SocketError::LongPath { .. })), "{refused:?}");
    }
}
