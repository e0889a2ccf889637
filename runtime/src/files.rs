//! Files that must be whole, files that must be private, and files that others put in place.

mod access;
mod atomic;
mod mounted;
mod private;

pub use access::{judge_log_file, judge_private_directory};
pub use atomic::{remove_leftovers, write_atomically};
pub use mounted::{Mounted, judge_mounted_directory, read_mounted};
pub use private::{create_private_directory, read_private, refuse_if_shared};

use std::{io, path::PathBuf};

/// Why a file could not be used or written. Each names the path, and the remedy where there is one.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Others than the owner may read or write it.
    #[error(
        "{path} is open to group or others: mode {mode:04o}, owned by uid {owner}, the process runs as uid {uid}. \
         Run `chmod {wanted:04o} {path}`"
    )]
    Shared {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Its owner.
        owner: u32,
        /// Who runs this process.
        uid: u32,
        /// The bits it should have.
        wanted: u32,
    },
    /// Somebody else than this process' user or root owns it, and could open it to anybody.
    #[error(
        "{path} belongs to uid {owner}, not to uid {uid} that the process runs as, nor to root. \
         Run `chown {uid} {path}`, or run the process as uid {owner}"
    )]
    Foreign {
        /// The file or directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who runs this process.
        uid: u32,
    },
    /// Everybody may write it, and so decide what it says.
    #[error(
        "{path} can be written by everybody: mode {mode:04o}, owned by uid {owner}, the process runs as uid {uid}. \
         Run `chmod o-w {path}`"
    )]
    WritableByAll {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Its owner.
        owner: u32,
        /// Who runs this process.
        uid: u32,
    },
    /// It is larger than any key or certificate file is.
    #[error("{path} is larger than {max_bytes} bytes: not a key or certificate file")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size accepted.
        max_bytes: u64,
    },
    /// It cannot be opened or read.
    #[error("cannot read {path} as uid {uid}")]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Who runs this process.
        uid: u32,
        /// What the operating system said.
        source: io::Error,
    },
    /// It cannot be written, made durable, or put in its place.
    #[error("cannot write {path} as uid {uid}")]
    Unwritable {
        /// The file or directory.
        path: PathBuf,
        /// Who runs this process.
        uid: u32,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Who runs this process.
fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}
