//! The files of a Vault client, each read when it is used: others keep them fresh.

use std::{fs::File, io::Read, path::Path, sync::Arc};

use signet_runtime::files::{self, FileError};
use zeroize::Zeroizing;

use super::VaultFileError;

/// A text of at most [`MAX_FILE_BYTES`], without the white space around it.
pub(super) fn read_text(path: &Path) -> Result<String, VaultFileError> {
    let unreadable = |source: std::io::Error| VaultFileError::Unreadable {
        path: path.to_owned(),
        source: Arc::new(source),
    };
    let file = File::open(path).map_err(unreadable)?;
    // Some are tokens: no copy is left behind, by a buffer that grows either.
    let length = file.metadata().map_or(0, |metadata| metadata.len()).min(MAX_FILE_BYTES) as usize;
    let mut text = Zeroizing::new(String::with_capacity(length + 1));
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(VaultFileError::Content { path: path.to_owned(), want: "text of at most 256 KiB" });
    }
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(VaultFileError::Content { path: path.to_owned(), want: "text; it is empty" });
    }
    Ok(trimmed.to_owned())
}

/// A secret, as Kubernetes mounts it: with mode 0644, or 0440 with `fsGroup`.
pub(super) fn read_secret(path: &Path) -> Result<Zeroizing<String>, VaultFileError> {
    let mounted = files::read_mounted(path).map_err(|fault| match fault {
        FileError::Unreadable { source, .. } => {
            VaultFileError::Unreadable { path: path.to_owned(), source: Arc::new(source) }
        }
        fault => VaultFileError::Unfit(fault.to_string()),
    })?;
    if mounted.readable_by_all {
        tracing::warn!(file = %path.display(), "everybody who sees this file may read the secret in it");
    }
    let text = std::str::from_utf8(&mounted.content).map(str::trim).unwrap_or_default();
    if text.is_empty() {
        return Err(VaultFileError::Content { path: path.to_owned(), want: "text" });
    }
    Ok(Zeroizing::new(text.to_owned()))
}

const MAX_FILE_BYTES: u64 = 256 << 10;
