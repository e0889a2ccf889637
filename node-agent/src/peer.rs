//! Who shares a budget: the processes of one pod, as far as that can be told from outside.

use std::{
    fs,
    io::ErrorKind,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use signet_runtime::peer::UnixCredentials;

/// Names whoever a peer's connections, streams, calls and attempts are counted for: its pod, else its cgroup,
/// else its user, and its connection alone where processes cannot be seen at all.
///
/// Never taken from what the peer says. It is read once, when a connection is accepted: by then its pid may be
/// another's, which costs fairness for a moment and no secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PeerKey(Arc<str>);

impl PeerKey {
    /// Whom a new connection of that process is counted for.
    ///
    /// All whose process is gone already are counted as one: whoever lets a child connect, pass the socket on
    /// and die would get a budget for each child. In the root cgroup there are processes of the node alone, which
    /// their users tell apart.
    pub(crate) fn of(unix: &UnixCredentials) -> Self {
        let seen = unix.pid().map_or(Seen::Hidden, |pid| Seen::of(Path::new("/proc"), pid));
        Self::of_seen(&seen, unix.uid())
    }

    fn of_seen(seen: &Seen, uid: u32) -> Self {
        Self(match seen {
            Seen::Cgroups(text) => {
                budget(text).map_or_else(|| format!("uid {uid} in the root cgroup").into(), Arc::from)
            }
            Seen::Vanished => "vanished".into(),
            Seen::Hidden => connection(),
        })
    }
}

/// A name that no other connection has.
fn connection() -> Arc<str> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("connection {}", NEXT.fetch_add(1, Ordering::Relaxed)).into()
}

/// What /proc shows of a process.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// `/proc/<pid>/cgroup`.
    Cgroups(String),
    /// It has ended, and maybe is a zombie still.
    Vanished,
    /// It is not ours to see.
    Hidden,
}

impl Seen {
    fn of(proc: &Path, pid: i32) -> Self {
        let process = proc.join(pid.to_string());
        match fs::read_to_string(process.join("cgroup")) {
            // A zombie has left its cgroups for the root where these are of version 1.
            Ok(text) if budget(&text).is_none() && has_ended(&process) => Self::Vanished,
            Ok(text) => Self::Cgroups(text),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Self::Hidden,
            // `hidepid=2` (proc(5)) hides others' processes as if they were not there, the first one too.
            Err(_) if !proc.join("1").exists() => Self::Hidden,
            Err(_) => Self::Vanished,
        }
    }
}

/// By the state in `stat` (proc(5)), which stands behind the name in its parentheses.
fn has_ended(process: &Path) -> bool {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with(['Z', 'X']))
}

/// The pod's cgroup, or the process's own when it is in no pod (cgroups(7): `hierarchy:controllers:path`).
///
/// Everything below the pod is its own to create, so a key any deeper could be multiplied at will. The root
/// cgroup is everybody's and tells nobody apart.
fn budget(cgroups: &str) -> Option<&str> {
    let paths = || cgroups.lines().filter_map(|line| line.splitn(3, ':').nth(2)).filter(|path| *path != "/");
    paths().find_map(pod).or_else(|| paths().next())
}

/// The path up to the outermost component that names a pod: `pod<uid>`, or `kubepods-<class>-pod<uid>.slice`
/// under systemd.
fn pod(path: &str) -> Option<&str> {
    let mut end = 0;
    for component in path.split_inclusive('/') {
        end += component.len();
        let name = component.trim_end_matches('/');
        if names_a_pod(name.trim_end_matches(".slice")) {
            return path.get(..end).map(|path| path.trim_end_matches('/'));
        }
    }
    None
}

/// A uid is 32 hexadecimal digits, in groups joined by `-`, by `_` under systemd, or by nothing for a static pod.
fn names_a_pod(component: &str) -> bool {
    let Some((class, uid)) = component.rsplit_once("pod") else { return false };
    let digits: String = uid.chars().filter(|character| !matches!(character, '-' | '_')).collect();
    (class.is_empty() || class.ends_with('-'))
        && digits.len() == 32
        && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
pub(crate) mod testing {
    //! Peers for tests that have no sockets.

    use super::PeerKey;

    pub(crate) fn peer_named(name: &str) -> PeerKey {
        PeerKey(name.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "3a5f0b7e-1b2c-4d5e-8f90-123456789abc";

    #[test]
    fn the_processes_of_a_pod_share_a_budget_and_others_have_their_own() {
        let systemd = format!(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice",
            POD.replace('-', "_")
        );
        let cgroupfs = format!("/kubepods/besteffort/pod{POD}");
        let fixed = format!("/kubepods/pod{}", POD.replace('-', ""));
        for (name, cgroups, wanted) in [
            ("a container", format!("0::{systemd}/cri-containerd-0a1b.scope\n"), Some(systemd.as_str())),
            (
                "a cgroup of its own making",
                format!("0::{systemd}/a.scope/pod{POD}/b\n"),
                Some(systemd.as_str()),
            ),
            ("cgroupfs", format!("0::{cgroupfs}/0a1b\n"), Some(cgroupfs.as_str())),
            ("a static pod", format!("0::{fixed}/0a1b\n"), Some(fixed.as_str())),
            (
                "version 1",
                format!("9:name=systemd:/\n4:memory:{cgroupfs}/0a1b\n0::/\n"),
                Some(cgroupfs.as_str()),
            ),
            ("seen from a namespace", format!("0::/../pod{POD}/0a1b\n"), Some(&*format!("/../pod{POD}"))),
            ("a service", "0::/system.slice/envoy.service\n".to_owned(), Some("/system.slice/envoy.service")),
            ("a name that only looks like a pod", "0::/tripod/leg\n".to_owned(), Some("/tripod/leg")),
            ("the root", "1:cpu:/\n0::/\n".to_owned(), None),
            ("nothing", String::new(), None),
        ] {
            assert_eq!(budget(&cgroups), wanted, "{name}");
        }
    }

    #[test]
    fn peers_that_cannot_be_told_apart_are_counted_by_connection() {
        let unseen = UnixCredentials::new(None, 1337, 1337);
        assert_ne!(PeerKey::of(&unseen), PeerKey::of(&unseen));
    }

    #[test]
    fn peers_that_have_vanished_share_one_budget() {
        let [one, other] = [i32::MAX, i32::MAX - 1].map(|pid| UnixCredentials::new(Some(pid), 1337, 1337));
        assert_eq!(PeerKey::of(&one), PeerKey::of(&other));
    }

    #[test]
    fn peers_of_the_root_cgroup_are_counted_by_user_and_its_zombies_as_vanished() {
        for (name, stat, cgroups, counted_as) in [
            ("at work", "7 (envoy) S 1", "0::/\n", "uid 1337 in the root cgroup"),
            ("a zombie", "7 (envoy) Z 1", "4:memory:/\n0::/\n", "vanished"),
            ("a zombie that calls itself at work", "7 (a) S 1) Z 1", "0::/\n", "vanished"),
            ("a zombie of version 2, which stays where it was", "7 (envoy) Z 1", "0::/a\n", "/a"),
        ] {
            let proc = tempfile::tempdir().unwrap();
            fs::create_dir(proc.path().join("7")).unwrap();
            fs::write(proc.path().join("7/cgroup"), cgroups).unwrap();
            fs::write(proc.path().join("7/stat"), stat).unwrap();
            let keys = [0, 1].map(|_| PeerKey::of_seen(&Seen::of(proc.path(), 7), 1337));
            assert_eq!(keys[0], PeerKey(counted_as.into()), "{name}");
            assert_eq!(keys[0], keys[1], "{name}: one budget, however often it connects");
        }
    }

    #[test]
    fn cgroups_are_read_of_the_process_that_connected() {
        let own = i32::try_from(std::process::id()).unwrap();
        let real = fs::read_to_string("/proc/self/cgroup").unwrap();
        assert_eq!(Seen::of(Path::new("/proc"), own), Seen::Cgroups(real));
        assert_eq!(Seen::of(Path::new("/proc"), i32::MAX), Seen::Vanished);
        assert_eq!(Seen::of(Path::new("/nowhere"), own), Seen::Hidden);
    }
}
