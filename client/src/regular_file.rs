//! Files that somebody else puts where the agent looks.

use std::{fs::File, io, path::Path};

use rustix::fs::{Mode, OFlags, open};

/// Opens a regular file to read, through symbolic links, and refuses everything else.
///
/// Never waits: opening a FIFO for reading would, until somebody writes to it (open(2)), and with it the runtime
/// that all renewals are on. `O_NONBLOCK` changes nothing for regular files.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let file = File::from(open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, sync::mpsc, thread, time::Duration};

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;

    #[test]
    fn what_is_not_a_regular_file_is_refused_without_waiting_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let (fifo, socket) = (folder.path().join("fifo"), folder.path().join("socket"));
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        for path in [&fifo, &socket, folder.path(), Path::new("/dev/zero")] {
            let (path, (told, hears)) = (path.to_owned(), mpsc::channel());
            thread::spawn({
                let path = path.clone();
                move || told.send(open_regular(&path).is_err())
            });
            assert_eq!(hears.recv_timeout(Duration::from_secs(10)), Ok(true), "{}", path.display());
        }
    }
}
