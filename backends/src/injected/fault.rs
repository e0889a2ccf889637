//! What keeps files from being an authority, for the operator who put them there.

use std::{
    error::Error,
    fmt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use signet_identity::{CaCertificateError, LinkError, SigningKeyError};
use signet_runtime::telemetry::chain;

/// Everything that is wrong with the files of a directory, each with its file and the remedy.
///
/// Displayed as `/etc/cacerts: 2 faults. ca-key.pem: .... root-cert.pem: ....`. Nothing of a key is in it,
/// and nothing that changes while the files do not, so that it can be compared with what was told before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    directory: PathBuf,
    faults: Vec<Fault>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    /// Empty: the directory itself.
    file: &'static str,
    problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    /// The directory, or the file, cannot be used as it is.
    #[error("{0}")]
    Unusable(String),
    /// The others are there.
    #[error("is missing; it should hold {0}")]
    Missing(&'static str),
    /// There are no certificates to be had from it.
    #[error(transparent)]
    Pem(#[from] PemProblem),
    /// There is no key to be had from it.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// Two files that do not belong together.
    #[error(
        "holds another key than the one that {certificate} is for; put the two together that were made \
         together"
    )]
    AnotherKey {
        /// The file of the certificate.
        certificate: &'static str,
    },
    /// A certificate that may not do what it is there for.
    #[error("{name}")]
    Certificate {
        /// Which one.
        name: String,
        /// What it may not.
        source: CaCertificateError,
    },
    /// A certificate that leads no further.
    #[error("{name} leads to no root of {roots}")]
    Link {
        /// Which one.
        name: String,
        /// The file of the roots.
        roots: &'static str,
        /// Where it breaks.
        source: BrokenLink,
    },
    /// A certificate that the leaves would outlast, or be too far below.
    #[error("{name} {limit}")]
    Limit {
        /// Which one.
        name: String,
        /// What it does not allow.
        limit: Limit,
    },
}

/// Why a file has no certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PemProblem {
    /// It may be empty, DER, or hold something else.
    #[error("has no certificate in it; want `CERTIFICATE` blocks in PEM")]
    None,
    /// Perhaps half-written.
    #[error("is not PEM: a block of it is damaged or cut short; write it anew")]
    Damaged,
    /// More than any authority needs.
    #[error("has more than {0} certificates in it; leave those that are needed")]
    TooMany(usize),
}

/// Where a path ends that does not reach a root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BrokenLink {
    /// It is a root itself, but not one that proxies are to trust.
    #[error("it is self-signed; add it there, if proxies are to trust it")]
    OfItself,
    /// Nobody above it is known.
    #[error("its issuer `{0}` is in none of the files; add the certificate of that name")]
    IssuerAbsent(String),
    /// The root is there, but proxies are not to trust it.
    #[error("its issuer `{0}` is self-signed and not there; add it, if proxies are to trust it")]
    IssuerNotARoot(String),
    /// One of the issuer's name is there.
    #[error("`{issuer}` is there")]
    NotSigned {
        /// The name of both.
        issuer: String,
        /// But it did not sign.
        source: LinkError,
    },
    /// Nobody follows a path of this length.
    #[error("more than {0} certificates would stand between a leaf and the root")]
    TooLong(usize),
}

/// What a certificate of the path does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Limit {
    /// The clock may be wrong.
    #[error("is not valid before {}; wait, or check the clock of this machine", at(.0))]
    NotYetValid(SystemTime),
    /// The clock may be wrong here, too.
    #[error("is over since {}; put a new one in place, or check the clock of this machine", at(.0))]
    Expired(SystemTime),
    /// It would sign for too short a time.
    #[error(
        "ends at {}, and should last at least {} more; put a new one in place",
        at(.end),
        humantime::format_duration(*.wanted)
    )]
    EndsSoon {
        /// Its last second.
        end: SystemTime,
        /// What is left must be at least this.
        wanted: Duration,
    },
    /// RFC 5280 §4.2.1.9.
    #[error(
        "allows {allowed} CA certificates below it (pathLenConstraint), and {below} are there; have it, or \
         what is below, issued anew"
    )]
    PathLength {
        /// What it says.
        allowed: u8,
        /// What is there.
        below: usize,
    },
}

impl Faults {
    pub(super) fn none_in(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), faults: Vec::new() }
    }

    pub(super) fn push(&mut self, file: &'static str, problem: impl Into<Problem>) {
        self.faults.push(Fault { file, problem: problem.into() });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.faults.len()
    }

    /// Those of another judgement of the same directory as well.
    pub(super) fn extend(&mut self, others: Self) {
        self.faults.extend(others.faults);
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.faults.len() == 1 { "" } else { "s" };
        write!(f, "{}: {} fault{plural}.", self.directory.display(), self.faults.len())?;
        for Fault { file, problem } in &self.faults {
            let colon = if file.is_empty() { "" } else { ": " };
            write!(f, " {file}{colon}{}.", chain(problem))?;
        }
        Ok(())
    }
}

impl Error for Faults {}

/// As certificates' times are written, without an offset.
pub(super) fn at(time: &SystemTime) -> impl fmt::Display + use<> {
    humantime::format_rfc3339_seconds(*time)
}
