//! `[[socket]]`: where proxies ask for secrets, and how it is known who they are.

use std::{collections::BTreeSet, path::PathBuf};

use signet_runtime::config::{Mode, Section, Setting, one_of};

use crate::{socket::Access, workload::token::IdentitySource};

/// One socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketConfig {
    /// `path`. Default `/run/signet/agent.sock`. Its directory is made when it is not there.
    pub path: PathBuf,
    /// `mode`: who may connect. Default `"0666"` for `stream-token`, where the token is what counts and the
    /// proxies' users are unknown; `"0600"` for `token-file`.
    pub mode: Mode,
    /// `allowed_uids`: users whose processes may connect, as the kernel tells (`SO_PEERCRED`). Empty, the default:
    /// all that the mode lets in. With a mode that lets in its owner alone, the socket belongs to the one of them
    /// that is not root: an agent that runs as root serves a proxy of uid 1337 so.
    pub allowed_uids: BTreeSet<u32>,
    /// `identity`: `stream-token` (default), or `token-file` with `token_file`.
    pub identity: IdentitySource,
}

/// Names of [`IdentitySource`].
#[derive(Clone, Copy)]
enum Source {
    StreamToken,
    TokenFile,
}

impl Setting for Source {
    fn parse(text: &str) -> Result<Self, String> {
        one_of(text, &[("stream-token", Self::StreamToken), ("token-file", Self::TokenFile)])
    }
}

/// All sockets; without any, the one default. `None` for one of which a fault was reported.
pub(super) fn read_all(sections: &[Section<'_>]) -> Vec<Option<SocketConfig>> {
    if sections.is_empty() {
        return vec![Some(SocketConfig {
            path: PathBuf::from(DEFAULT_PATH),
            mode: OPEN,
            allowed_uids: BTreeSet::new(),
            identity: IdentitySource::StreamToken,
        })];
    }
    let sockets: Vec<Option<SocketConfig>> = sections.iter().map(SocketConfig::read).collect();
    let mut paths = BTreeSet::new();
    for (section, socket) in sections.iter().zip(&sockets) {
        if socket.as_ref().is_some_and(|socket| !paths.insert(&socket.path)) {
            section.fault("path", "another `[[socket]]` has the same path (want one path for each)");
        }
    }
    sockets
}

impl SocketConfig {
    /// Whether a process of that user may connect.
    pub(crate) fn admits(&self, uid: u32) -> bool {
        self.allowed_uids.is_empty() || self.allowed_uids.contains(&uid)
    }

    /// Who may connect as far as the file system is concerned.
    pub(crate) fn access(&self) -> Access {
        let owner = self.users().next().filter(|_| self.mode.is_private());
        Access { mode: self.mode, owner }
    }

    /// Those of `allowed_uids` that do not pass anyway, as root does.
    fn users(&self) -> impl Iterator<Item = u32> {
        self.allowed_uids.iter().copied().filter(|uid| *uid != 0)
    }

    fn read(section: &Section<'_>) -> Option<Self> {
        let path = section.optional("path", PathBuf::from(DEFAULT_PATH));
        let allowed_uids = section.list("allowed_uids").into_iter().collect();
        let (identity, default_mode) = match section.optional("identity", Source::StreamToken) {
            Source::StreamToken => (Some(IdentitySource::StreamToken), OPEN),
            Source::TokenFile => (section.required("token_file").map(IdentitySource::TokenFile), PRIVATE),
        };
        if let (Some(IdentitySource::StreamToken), Some(_)) =
            (&identity, section.maybe::<PathBuf>("token_file"))
        {
            section
                .fault("token_file", "is used with `identity = \"token-file\"` only (want one or the other)");
        }
        let socket =
            Self { path, mode: section.optional("mode", default_mode), allowed_uids, identity: identity? };
        socket.refuse_to_give_identity_to_everybody(section);
        if socket.mode.is_private() && socket.users().count() > 1 {
            section.fault("allowed_uids", "names several users where `mode` lets in one, its owner (want one uid, and a `[[socket]]` for each)");
        }
        Some(socket)
    }

    /// Whoever connects to the socket of a token file gets its identity.
    fn refuse_to_give_identity_to_everybody(&self, section: &Section<'_>) {
        if self.identity == IdentitySource::StreamToken {
            return;
        }
        if !self.mode.is_private() {
            section
                .fault("mode", "lets group or others get the identity of the token file (want `\"0600\"`)");
        }
        if self.allowed_uids.is_empty() {
            section
                .fault("allowed_uids", "is required with a token file (want the proxy's uid, e.g. `[1337]`)");
        }
    }
}

const DEFAULT_PATH: &str = "/run/signet/agent.sock";
const OPEN: Mode = Mode::of(0o666);
const PRIVATE: Mode = Mode::of(0o600);
