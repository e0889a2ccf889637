//! What lies in the way, and who may connect.

use std::os::unix::fs::{MetadataExt, symlink};

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
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
async fn nothing_is_made_in_a_directory_that_is_refused() {
    let (folder, _) = folder();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    bind(&folder.path().join("its own/agent.sock"), ACCESS).await.unwrap_err();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_another_user_owns_on_the_way_is_refused_and_a_sticky_directory_is_no_better() {
    for mode in [0o755, 0o1777] {
        let (folder, path) = folder();
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        if !given_away(folder.path()) {
            return; // only root can
        }
        for path in [path, folder.path().join("below/agent.sock")] {
            let refused = bind(&path, ACCESS).await;
            assert!(
                matches!(&refused, Err(SocketError::ForeignDirectory { path, owner: 1337, uid: 0 }) if path == folder.path()),
                "{mode:o}: {refused:?}"
            );
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{mode:o}: nothing is made");
    }
}

#[tokio::test]
async fn a_link_that_others_may_replace_is_refused_wherever_it_stands_on_the_way() {
    let [shared, safe] = [(); 2].map(|()| TempDir::new().unwrap());
    fs::set_permissions(shared.path(), Permissions::from_mode(0o777)).unwrap();
    let replaceable = shared.path().join("link");
    symlink(safe.path(), &replaceable).unwrap();
    symlink(&replaceable, safe.path().join("to the link")).unwrap();
    for (name, directory) in
        [("in the path", replaceable), ("behind a link", safe.path().join("to the link"))]
    {
        let bound = bind(&directory.join("agent.sock"), ACCESS).await;
        assert!(matches!(bound, Err(SocketError::SharedDirectory { .. })), "{name}: {bound:?}");
    }
}

#[tokio::test]
async fn a_link_of_another_user_in_a_sticky_directory_is_refused() {
    let [sticky, safe] = [(); 2].map(|()| TempDir::new().unwrap());
    fs::set_permissions(sticky.path(), Permissions::from_mode(0o1777)).unwrap();
    let link = sticky.path().join("link");
    symlink(safe.path(), &link).unwrap();
    if given_away(&link) {
        let bound = bind(&link.join("agent.sock"), ACCESS).await;
        assert!(matches!(bound, Err(SocketError::ForeignDirectory { .. })), "{bound:?}");
    }
}

#[tokio::test]
async fn links_that_nobody_else_may_replace_are_followed_and_a_circle_is_not() {
    let (folder, _) = folder();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("real/deep")).unwrap();
    symlink("real/./deep", at("relative")).unwrap();
    symlink(at("relative"), at("absolute")).unwrap();
    symlink("circle", at("circle")).unwrap();
    for (name, path, lies) in [
        ("links", "absolute/agent.sock", "real/deep/agent.sock"),
        ("above a link's target", "absolute/../up.sock", "real/up.sock"),
        ("missing behind a link", "absolute/new/agent.sock", "real/deep/new/agent.sock"),
    ] {
        let _listener = bind(&at(path), ACCESS).await.unwrap();
        assert!(at(lies).exists(), "{name}");
    }
    let circle = bind(&at("circle/agent.sock"), ACCESS).await;
    assert!(matches!(circle, Err(SocketError::Directory { .. })), "{circle:?}");
}

/// Makes it that of uid 1337. Whether that could be done: only root can.
fn given_away(path: &Path) -> bool {
    lchown(path, Some(1337), None).is_ok()
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
async fn a_socket_that_the_agent_may_not_ask_for_is_left_and_the_remedy_is_named() {
    let (_folder, path) = folder();
    drop(bind(&path, Access { mode: Mode::of(0o000), owner: None }).await.unwrap());
    // Of this thread alone.
    let mut rights = capabilities(None).unwrap();
    for set in [&mut rights.effective, &mut rights.permitted] {
        set.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
    }
    set_capabilities(None, rights).unwrap();
    let refused = bind(&path, ACCESS).await.unwrap_err();
    assert!(matches!(refused, SocketError::Unknowable { .. }), "{refused:?}");
    assert!(refused.to_string().contains("CAP_DAC_OVERRIDE"), "{refused}");
    fs::remove_file(&path).unwrap();
    bind(&path, ACCESS).await.unwrap();
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
    drop(UnixListener::bind(beside(&path, process::id())).unwrap());
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

#[tokio::test]
async fn a_short_name_in_a_directory_without_room_for_a_pid_is_refused_as_too_long() {
    let (folder, _) = folder();
    let in_directory_of =
        |bytes: usize| folder.path().join("a".repeat(bytes - folder.path().as_os_str().len() - 1)).join("s");
    let room = MAX_PATH_BYTES - "/.4194304".len();
    let _listener = bind(&in_directory_of(room), ACCESS).await.unwrap();
    let refused = bind(&in_directory_of(room + 1), ACCESS).await;
    assert!(matches!(refused, Err(SocketError::LongPath { .. })), "{refused:?}");
}
