//! Where the development issuer keeps its key.

use std::path::Path;

use anyhow::{Context, Result};
use signet_identity::PrivateKey;
use signet_runtime::files::{create_private_directory, read_private, write_atomically};

const KEY: &str = "development-issuer.key";

/// The key in `directory`. Where there is none, a new one is made and kept: the directory gets mode 0700, the file
/// 0600. One that others can read is refused.
pub(super) fn open(directory: &Path) -> Result<PrivateKey> {
    create_private_directory(directory)?;
    let path = directory.join(KEY);
    if !path.exists() {
        write_atomically(&path, PrivateKey::generate()?.to_pkcs8_pem().as_bytes(), 0o600)?;
    }
    let pem = read_private(&path)?;
    let pem = std::str::from_utf8(&pem).with_context(|| format!("{} is not PEM", path.display()))?;
    PrivateKey::from_pkcs8_pem(pem).with_context(|| format!("{} holds no usable key", path.display()))
}
