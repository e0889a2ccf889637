//! `[authority]` and `[injected]`: who signs, and how one authority follows on another.

use std::{path::PathBuf, time::Duration};

use signet_runtime::config::{Section, Setting, one_of};

use crate::trust::Origin;

/// Who signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityConfig {
    /// `kind`: `local` (default), `injected`, `vault` or `vault-intermediate`.
    pub kind: Origin,
    /// `overlap`: from a new root in the bundle to the first leaf under it. Default: `issuing.max_lifetime`, for
    /// clients that do not ask for the bundle see a new root when they renew. Zero is allowed, and warned about.
    pub overlap: Duration,
    /// `keep_key`: whether the key of the authority that signs is copied into the state directory while another is to
    /// follow, so that a restart can go on signing by it. Default: `true` for `injected`, whose files are replaced
    /// by then; `false` for `vault-intermediate`, whose key is never on a disk unless asked.
    pub keep_key: bool,
}

/// An operator's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectedConfig {
    /// `directory`: with the files of Istio's `cacerts` or of a `kubernetes.io/tls` Secret. Default `/etc/cacerts`.
    pub directory: PathBuf,
    /// `poll`: how often the files are looked at though no event came. Default 10 s.
    pub poll: Duration,
}

impl Setting for Origin {
    fn parse(text: &str) -> Result<Self, String> {
        let all = [Self::Local, Self::Injected, Self::Vault, Self::VaultIntermediate];
        one_of(text, &all.map(|origin| (origin.name(), origin)))
    }
}

impl AuthorityConfig {
    pub(super) fn read(section: &Section<'_>, longest_leaf: Option<Duration>) -> Self {
        let kind = section.optional("kind", Origin::Local);
        let overlap = longest_leaf.unwrap_or(Duration::from_secs(24 * 3600));
        Self {
            overlap: section.within("overlap", overlap, Duration::ZERO..=LONGEST_OVERLAP),
            keep_key: section.optional("keep_key", kind == Origin::Injected),
            kind,
        }
    }
}

impl InjectedConfig {
    pub(super) fn read(section: &Section<'_>) -> Self {
        Self {
            directory: section.optional("directory", PathBuf::from("/etc/cacerts")),
            poll: section.within(
                "poll",
                Duration::from_secs(10),
                Duration::from_secs(1)..=Duration::from_secs(3600),
            ),
        }
    }
}

/// Longer, and the authority that is to end would be over before.
const LONGEST_OVERLAP: Duration = Duration::from_secs(365 * 24 * 3600);
