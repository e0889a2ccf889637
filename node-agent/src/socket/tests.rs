//! What lies in the way, and who may connect.

use std::os::unix::fs::{MetadataExt, symlink};

use tempfile::TempDir;

use super::*;

const ACCESS: Access = Access { mode: Mode::of(0o640), owner: None };

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
    let _listener = bind(&path, ACCESS).await.unwrap();
    assert_eq!(mode_of(&path), 0o640);
    for made in ["run", "run/signet"] {
        assert_eq!(mode_of(&folder.path().join(made)), 0o755, "{made}");
    }
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    UnixStream::connect(&path).await.unwrap();
}

#[tokio::test]
async fn a_private_socket_is_given_to_the_one_user_who_may_connect_or_to_nobody() {
    let (folder, path) = folder();
    let access = Access { mode: Mode::of(0o600), owner: Some(1337) };
    let bound = bind(&path, access).await;
    if fs::metadata(folder.path()).unwrap().uid() == 0 {
        bound.unwrap();
        assert_eq!((fs::metadata(&path).unwrap().uid(), mode_of(&path)), (1337, 0o600));
    } else {
        assert!(matches!(bound, Err(SocketError::Owner { uid: 1337, .. })), "only root can give it away");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left of it");
    }
}

#[tokio::test]
async fn a_directory_in_which_others_may_write_is_refused_unless_it_is_sticky() {
    for (mode, good) in [(0o755, true), (0o775, false), (0o757, false), (0o777, false), (0o1777, true)] {
        for below in ["agent.sock", "its own/agent.sock"] {
            let (folder, _) = folder();
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            let bound = bind(&folder.path().join(below), ACCESS).await;
            assert_eq!(bound.is_ok(), good, "{mode:o}, {below}: {bound:?}");
            let told = bound.err().map(|error| error.to_string());
            let names_it = |told: &String| told.contains(&format!("{} (mode", folder.path().display()));
            assert!(told.is_none_or(|told| names_it(&told)), "{mode:o}, {below}");
        }
    }
}

#[tokio::test]
async fn a_link_that_others_may_replace_is_refused() {
    let (shared, safe) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::set_permissions(shared.path(), Permissions::from_mode(0o777)).unwrap();
    symlink(safe.path(), shared.path().join("link")).unwrap();
    let bound = bind(&shared.path().join("link/agent.sock"), ACCESS).await;
    assert!(matches!(bound, Err(SocketError::SharedDirectory { .. })), "{bound:?}");
}

#[tokio::test]
async fn a_socket_that_nobody_serves_is_replaced() {
    let (_folder, path) = folder();
    drop(bind(&path, ACCESS).await.unwrap());
    assert!(UnixStream::connect(&path).await.is_err());
    let listener = bind(&path, ACCESS).await.unwrap();
    UnixStream::connect(&path).await.unwrap();
    listener.accept().await.unwrap();
}

#[tokio::test]
async fn a_socket_that_somebody_serves_is_left_to_them() {
    let (_folder, path) = folder();
    let first = bind(&path, ACCESS).await.unwrap();
    assert!(matches!(bind(&path, ACCESS).await, Err(SocketError::InUse { .. })));
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
    assert!(matches!(bind(&path, ACCESS).await, Err(SocketError::InUse { .. })));
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
        assert!(matches!(bind(&path, ACCESS).await, Err(SocketError::NotASocket { .. })), "{name}");
        assert!(fs::symlink_metadata(&path).is_ok(), "{name} is still there");
        fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}

#[tokio::test]
async fn what_a_dead_process_left_half_made_is_replaced() {
    let (_folder, path) = folder();
    drop(UnixListener::bind(beside(&path)).unwrap());
    bind(&path, ACCESS).await.unwrap();
}

#[tokio::test]
async fn a_path_that_no_proxy_could_connect_to_is_refused() {
    let (folder, _) = folder();
    let of_bytes = |bytes: usize| folder.path().join("a".repeat(bytes - folder.path().as_os_str().len() - 1));
    let _listener = bind(&of_bytes(MAX_PATH_BYTES), ACCESS).await.unwrap();
    UnixStream::connect(of_bytes(MAX_PATH_BYTES)).await.unwrap();
    let refused = bind(&of_bytes(MAX_PATH_BYTES + 1), ACCESS).await;
    assert!(matches!(refused, Err(SocketError::LongPath { .. })), "{refused:?}");
}
