//! The files of one moment.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use ring::digest::{Context, SHA256};
use signet_runtime::{
    files::{FileError, Mounted, judge_mounted_directory, read_mounted},
    telemetry::chain,
};

/// Which names the files have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// The certificate that signs, first; others may follow it.
    pub(super) certificate: &'static str,
    /// The key of it.
    pub(super) key: &'static str,
    /// What proxies are to trust.
    pub(super) roots: &'static str,
    /// What stands between; without a file of its own it follows the certificate.
    pub(super) chain: Option<&'static str>,
}

/// Istio's `cacerts`.
pub(super) const CACERTS: Layout = Layout {
    certificate: "ca-cert.pem",
    key: "ca-key.pem",
    roots: "root-cert.pem",
    chain: Some("cert-chain.pem"),
};

/// `kubernetes.io/tls`.
pub(super) const TLS: Layout =
    Layout { certificate: "tls.crt", key: "tls.key", roots: "ca.crt", chain: None };

/// Everything that is looked at.
pub(super) const NAMES: [&str; 7] =
    ["ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem", "tls.crt", "tls.key", "ca.crt"];

/// The link that Kubernetes changes to swap all files of a volume at once.
pub(super) const DATA: &str = "..data";

/// What a name stands for.
pub(super) enum Content {
    Absent,
    Unusable(String),
    Read(Mounted),
}

/// What was found in the directory.
pub(super) struct Snapshot {
    /// As it was asked for.
    pub(super) directory: PathBuf,
    /// What is wrong with the directory as a whole.
    pub(super) unusable: Option<String>,
    contents: Vec<(&'static str, Content)>,
}

/// SHA-256 of everything that was found: equal if and only if nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

impl Snapshot {
    /// Reads each file once. A change meanwhile can mix two sets, unless it is Kubernetes' own: the link that
    /// it changes is followed once, for all files.
    pub(super) fn take(directory: &Path) -> Self {
        let data = directory.join(DATA);
        let source = data.canonicalize().unwrap_or_else(|_no_such_link| directory.to_owned());
        let judged = judge_mounted_directory(&source).err();
        let unusable = judged.map(|error| with_remedy(&error));
        let read = |name| (name, Content::of(&source.join(name)));
        let contents = if unusable.is_some() { Vec::new() } else { NAMES.map(read).into() };
        Self { directory: directory.to_owned(), unusable, contents }
    }

    /// Reads until nothing has changed between two readings, but not for ever.
    pub(super) fn settled(directory: &Path) -> Self {
        let mut last = Self::take(directory);
        for _ in 0..READINGS {
            let next = Self::take(directory);
            if next.digest() == last.digest() {
                return next;
            }
            last = next;
        }
        let unusable = "its files change while they are read; try again when they do not".to_owned();
        Self { unusable: Some(unusable), ..last }
    }

    /// What stands under that name.
    pub(super) fn content(&self, name: &str) -> &Content {
        let found = self.contents.iter().find(|(file, _)| *file == name);
        found.map_or(&Content::Absent, |(_, content)| content)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        !matches!(self.content(name), Content::Absent)
    }

    pub(super) fn digest(&self) -> Digest {
        let mut context = Context::new(&SHA256);
        let mut add = |bytes: &[u8]| {
            context.update(&bytes.len().to_be_bytes());
            context.update(bytes);
        };
        add(self.unusable.as_deref().unwrap_or_default().as_bytes());
        for (name, content) in &self.contents {
            add(name.as_bytes());
            match content {
                Content::Absent => add(b"absent"),
                Content::Unusable(reason) => {
                    add(b"unusable");
                    add(reason.as_bytes());
                }
                Content::Read(mounted) => {
                    add(b"read");
                    add(&[u8::from(mounted.readable_by_all)]);
                    add(&mounted.content);
                }
            }
        }
        let mut digest = [0; 32];
        for (to, from) in digest.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Digest(digest)
    }
}

impl Content {
    fn of(path: &Path) -> Self {
        match read_mounted(path) {
            Ok(mounted) => Self::Read(mounted),
            Err(FileError::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => Self::Absent,
            Err(error) => Self::Unusable(with_remedy(&error)),
        }
    }
}

fn with_remedy(error: &FileError) -> String {
    let told = chain(error);
    match error {
        FileError::Unreadable { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            format!("{told}; set `fsGroup` in the pod, or `chown` it")
        }
        FileError::Unreadable { source, .. } if source.kind() == ErrorKind::NotFound => {
            format!("{told}; mount the Secret there, or name its directory")
        }
        _ => told.to_string(),
    }
}

/// Whoever writes longer than this is not done.
const READINGS: usize = 3;
