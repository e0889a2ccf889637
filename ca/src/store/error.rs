//! Why a state cannot be used, each with the remedy.

use std::{io, path::PathBuf};

use signet_identity::{
    BundleError, CaCertificateError, KeyError, SigningKeyError, TrustDomain, ValidityError,
};
use signet_runtime::files::FileError;

/// Why the state cannot be used, ordered by whose fault it is. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or the directory is missing, shared, or cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The directory itself refuses what an owner may do: list, lock, remove.
    #[error(
        "cannot work in the state directory {directory}: it must be writable for this process, and support locks"
    )]
    Directory {
        /// The state directory.
        directory: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process has it open.
    #[error(
        "the state directory {directory} is in use by {}. Stop that process. A CA \
         with another directory has another root, which the workloads of this one do not trust",
        holder.map_or("another process".to_owned(), |pid| format!("process {pid}"))
    )]
    InUse {
        /// The state directory.
        directory: PathBuf,
        /// What the lock file says.
        holder: Option<u32>,
    },
    /// It was made for another trust domain.
    #[error(
        "the state directory {directory} belongs to the trust domain {stored}, the configuration says {configured}. \
         Configure {stored}, or give the new trust domain a directory of its own"
    )]
    OtherTrustDomain {
        /// The state directory.
        directory: PathBuf,
        /// As in `state.json`.
        stored: String,
        /// As configured.
        configured: TrustDomain,
    },
    /// There was a state once, and it is gone.
    #[error(
        "{state} is missing, but {root_certificate} shows that this CA had a root. Restore the directory from a \
         backup; or, to begin with a new root that every workload must be given, remove {root_certificate}"
    )]
    Lost {
        /// The missing file.
        state: PathBuf,
        /// The exported bundle.
        root_certificate: PathBuf,
    },
    /// The key that the state names is gone.
    #[error(
        "{key}, the key of the root, is missing. Restore the directory from a backup; or move it away, to begin with \
         a new root that every workload must be given"
    )]
    KeyLost {
        /// The missing file.
        key: PathBuf,
    },
    /// It cannot be understood, or its parts do not belong together.
    #[error(
        "{path} cannot be used. Restore the directory from a backup; or move it away, to begin with a new root \
         that every workload must be given"
    )]
    Corrupt {
        /// The file in question.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Corruption,
    },
    /// Its authority is over, or not valid yet.
    #[error(
        "the authority in the state directory {directory} cannot sign now. Check this machine's clock; if it is \
         right, move the directory away, to begin with a new root that every workload must be given"
    )]
    NotValid {
        /// The state directory.
        directory: PathBuf,
        /// Which of the two.
        source: ValidityError,
    },
    /// A change of trust came while many others have not ended.
    #[error(
        "the bundle would have too many roots. Wait until the leaves under those that are leaving are dead, or take \
         roots out of what is offered"
    )]
    TooManyRoots(#[source] BundleError),
    /// No root could be made: a fault of ours, or of the machine's random numbers.
    #[error("cannot make a root key")]
    NewKey(#[source] KeyError),
    /// As above.
    #[error("cannot make a root certificate")]
    NewCertificate(#[source] CaCertificateError),
}

/// What is wrong with a stored state.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each says what it is")]
pub enum Corruption {
    #[error("it is not the JSON of a state")]
    Json(#[from] serde_json::Error),
    #[error("`{0}` is no name of a key file")]
    KeyName(String),
    #[error("the certificate of an authority cannot be used")]
    Certificate(#[from] CaCertificateError),
    #[error("where certificates should be, it has something else")]
    NotPem,
    #[error("it has a time that no clock can show")]
    Time,
    #[error("the certificates make no bundle")]
    Bundle(#[from] BundleError),
    #[error("the key cannot be read")]
    Key(#[from] SigningKeyError),
    #[error("the key is not text")]
    KeyNotText,
    #[error("the key is not that of its authority's certificate")]
    OtherKey,
}
