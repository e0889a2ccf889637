//! Events of the file system: that something happened to the files, never what.

use std::{
    ffi::OsStr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use notify::{
    ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::sync::Notify;

use super::snapshot::{DATA, NAMES};

/// Watches a directory, and the one that it is in, for the directory may be replaced as a whole.
pub(super) struct Eyes {
    directory: PathBuf,
    happened: Arc<Happened>,
    watching: Option<Watching>,
    /// Why there are no events, as it was last told.
    blind: Option<String>,
}

/// What wakes whoever waits.
#[derive(Default)]
pub(super) struct Happened {
    wake: Notify,
    /// The directory itself went, came or was renamed: what is watched may be another one, even if it has the
    /// number of the old one.
    replaced: AtomicBool,
}

struct Watching {
    /// Dropped with this.
    _watcher: RecommendedWatcher,
    /// Of the directory and of its parent, each if it is there.
    watched: [Option<Inode>; 2],
}

/// Device and number.
type Inode = (u64, u64);

impl Happened {
    /// Returns when something happened since the last time.
    pub(super) async fn wait(&self) {
        self.wake.notified().await;
    }
}

impl Eyes {
    pub(super) fn on(directory: &Path) -> Self {
        // A relative path of one part has an empty parent.
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        Self { directory, happened: Arc::default(), watching: None, blind: None }
    }

    pub(super) fn happened(&self) -> Arc<Happened> {
        Arc::clone(&self.happened)
    }

    /// Watches what is there now; to be called before each look, so that whatever changes after it is
    /// noticed. Blocks.
    ///
    /// Where there are no events, the log says so, once: then the poll alone notices changes.
    pub(super) fn open(&mut self) {
        let replaced = self.happened.replaced.swap(false, Relaxed);
        let watched = self.places().map(inode);
        if !replaced && self.watching.as_ref().is_some_and(|watching| watching.watched == watched) {
            return;
        }
        let opened = self.watch();
        match (&opened, &self.blind) {
            (Ok(_), Some(_)) => {
                tracing::info!(directory = %self.directory.display(), "file events are there again");
                self.blind = None;
            }
            (Err(error), blind) if blind.as_deref() != Some(&error.to_string()) => {
                tracing::warn!(
                    directory = %self.directory.display(),
                    error = %error,
                    "there are no file events; changes are noticed by the poll alone. If a limit is reached, \
                     raise `fs.inotify.max_user_instances` or `fs.inotify.max_user_watches`"
                );
                self.blind = Some(error.to_string());
            }
            _ => {}
        }
        self.watching = opened.ok().map(|watcher| Watching { _watcher: watcher, watched });
    }

    fn places(&self) -> [&Path; 2] {
        [&self.directory, self.directory.parent().unwrap_or(&self.directory)]
    }

    fn watch(&self) -> notify::Result<RecommendedWatcher> {
        let (directory, happened) = (self.directory.clone(), Arc::clone(&self.happened));
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let Some(what) = concerns(&directory, event.as_ref().ok()) else { return };
            if what == Concerns::Directory {
                happened.replaced.store(true, Relaxed);
            }
            happened.wake.notify_one();
        })?;
        for place in self.places() {
            match watcher.watch(place, RecursiveMode::NonRecursive) {
                // Its parent tells when it comes.
                Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {}
                other => other?,
            }
        }
        Ok(watcher)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Concerns {
    Directory,
    Files,
}

/// Whom an event concerns; `None` if nobody: our own reading is an event, too. What cannot be told (an
/// overflow, an error) concerns all.
fn concerns(directory: &Path, event: Option<&Event>) -> Option<Concerns> {
    let Some(event) = event.filter(|event| !event.need_rescan()) else { return Some(Concerns::Directory) };
    match event.kind {
        EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write) => return None,
        _ => {}
    }
    let is_file = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        path.parent() == Some(directory) && (name == DATA || NAMES.contains(&name))
    };
    if event.paths.iter().any(|path| path == directory) {
        return Some(Concerns::Directory);
    }
    event.paths.iter().any(is_file).then_some(Concerns::Files)
}

fn inode(path: &Path) -> Option<Inode> {
    path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Flag, ModifyKind, RemoveKind, RenameMode};

    use super::*;

    #[test]
    fn an_event_wakes_if_it_concerns_the_files_or_the_directory() {
        const READ: EventKind = EventKind::Access(AccessKind::Open(AccessMode::Any));
        const WRITTEN: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
        const DATA_CHANGED: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        const RENAMED: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        const CREATED: EventKind = EventKind::Create(CreateKind::Any);
        const REMOVED: EventKind = EventKind::Remove(RemoveKind::Any);
        for (case, kind, path, expected) in [
            ("our own reading", READ, "/etc/cacerts/ca-key.pem", None),
            ("somebody lists it", READ, "/etc/cacerts", None),
            ("a file was written", WRITTEN, "/etc/cacerts/ca-key.pem", Some(Concerns::Files)),
            ("a file is written", DATA_CHANGED, "/etc/cacerts/root-cert.pem", Some(Concerns::Files)),
            ("an editor's rename", RENAMED, "/etc/cacerts/tls.crt", Some(Concerns::Files)),
            ("Kubernetes' swap", RENAMED, "/etc/cacerts/..data", Some(Concerns::Files)),
            ("a file that means nothing", CREATED, "/etc/cacerts/README", None),
            ("a file of that name elsewhere", CREATED, "/etc/tls.crt", None),
            ("the directory came", CREATED, "/etc/cacerts", Some(Concerns::Directory)),
            ("the directory went", REMOVED, "/etc/cacerts", Some(Concerns::Directory)),
            ("its neighbour went", REMOVED, "/etc/other", None),
        ] {
            let event = Event::new(kind).add_path(path.into());
            assert_eq!(concerns(Path::new("/etc/cacerts"), Some(&event)), expected, "{case}");
        }
    }

    #[test]
    fn a_relative_directory_has_a_parent_too() {
        let [directory, parent] = Eyes::on("cacerts".as_ref()).places().map(Path::to_owned);
        assert_eq!(directory.parent(), Some(&*parent));
        assert_eq!(parent, std::env::current_dir().unwrap());
    }

    #[test]
    fn an_event_that_says_that_others_are_lost_wakes() {
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        for event in [None, Some(&lost)] {
            assert_eq!(concerns(Path::new("/etc/cacerts"), event), Some(Concerns::Directory));
        }
    }
}
