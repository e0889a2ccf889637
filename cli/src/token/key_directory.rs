//! Where the development issuer keeps its key.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use signet_identity::PrivateKey;
use signet_runtime::files::{create_private_directory, read_private, write_atomically};

const KEY: &str = "development-issuer.key";

/// Makes a new key, in a directory of mode 0700 and a file of mode 0600, unless there is one. Was one made?
pub(super) fn make_if_absent(directory: &Path) -> Result<bool> {
    create_private_directory(directory)?;
    let path = directory.join(KEY);
    let is_absent = !path.exists();
    if is_absent {
        write_atomically(&path, PrivateKey::generate()?.to_pkcs8_pem().as_bytes(), 0o600)?;
    }
    Ok(is_absent)
}

/// The key in `directory`. One that others can read is refused.
pub(crate) fn open(directory: &Path) -> Result<PrivateKey> {
    let path = directory.join(KEY);
    ensure!(
        path.exists(),
        "there is no issuer's key in {}: name the directory that `signet token mint --keys` was given",
        directory.display()
    );
    let pem = read_private(&path)?;
    let pem = std::str::from_utf8(&pem).with_context(|| format!("{} is not PEM", path.display()))?;
    PrivateKey::from_pkcs8_pem(pem).with_context(|| format!("{} holds no usable key", path.display()))
}
