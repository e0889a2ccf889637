//! A token as the kubelet hands it to a pod: a volume in which the token is replaced at one stroke.
//!
//! `token` is a link to `..data/token`, and `..data` a link to a directory that is never changed once it is in
//! place: a new token comes in a new directory, and a renamed link puts it in force. Whoever watches must follow
//! that, so the demo and the tests do it the same way.

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

const TOKEN: &str = "token";
/// Tells Envoy where the token is. It never changes: what Envoy watches is the directory.
const ENVOY_SECRET: &str = "token.json";

/// A directory with the newest token of one workload, as `token`, and `token.json` that leads Envoy to it.
#[derive(Debug)]
pub struct TokenVolume {
    directory: PathBuf,
    generation: u64,
}

impl TokenVolume {
    /// Makes the directory, private to this user, without a token in it.
    pub fn create(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        private().create(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        symlink(Path::new("..data").join(TOKEN), directory.join(TOKEN))?;
        write_private(&directory.join(ENVOY_SECRET), &envoy_secret(&directory.join(TOKEN)))?;
        Ok(Self { directory, generation: 0 })
    }

    /// The directory, for whoever watches it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file with the token alone.
    pub fn token_file(&self) -> PathBuf {
        self.directory.join(TOKEN)
    }

    /// Puts `token` in the place of the one before.
    pub fn publish(&mut self, token: &str) -> Result<()> {
        let before = self.directory.join(format!("..{}", self.generation));
        self.generation += 1;
        let name = format!("..{}", self.generation);
        let generation = self.directory.join(&name);
        private().create(&generation)?;
        write_private(&generation.join(TOKEN), token)?;

        let link = self.directory.join("..data_tmp");
        symlink(&name, &link)?;
        fs::rename(link, self.directory.join("..data"))?;
        if before.exists() {
            fs::remove_dir_all(before)?;
        }
        Ok(())
    }
}

fn envoy_secret(token: &Path) -> String {
    let secret = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": "token",
        "generic_secret": {"secret": {"filename": token}},
    });
    json!({"resources": [secret]}).to_string()
}

fn private() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

fn write_private(path: &Path, content: &str) -> Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(file.write_all(content.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_takes_the_place_of_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let mut volume = TokenVolume::create(directory.path().join("orders")).unwrap();
        for token in ["first", "second", "third"] {
            volume.publish(token).unwrap();
            assert_eq!(fs::read_to_string(volume.token_file()).unwrap(), token);
        }
        let generations = fs::read_dir(volume.directory()).unwrap().map(Result::unwrap);
        let generations = generations.filter(|entry| entry.file_type().unwrap().is_dir()).count();
        assert_eq!(generations, 1, "tokens of the past are removed");
    }
}
