//! Whether any process of a stage has written down a secret.
//!
//! Searched are the logs and audit logs of the stage, when it ends: for each token that was minted on it, each secret of
//! its Vault, the body of each private key in its directory, and whatever looks like a token of Vault's, since those are
//! given to processes and to nobody else.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The secrets that were used on a stage.
#[derive(Debug, Default)]
pub struct Secrets(Mutex<BTreeSet<Secret>>);

/// A secret, by the part of it that is looked for.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// What stages that have ended found, in this process.
static FOUND: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Takes what was found since the last call: where, and what kind of secret it is.
pub fn found() -> Vec<String> {
    std::mem::take(&mut *FOUND.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Secrets {
    /// From now on this text is one. The end of it is what is looked for: the beginning of a JWT is no secret.
    pub fn add(&self, secret: &str) {
        let characters = secret.trim().chars().count();
        let end: String = secret.trim().chars().skip(characters.saturating_sub(LOOKED_FOR)).collect();
        if end.len() >= SHORTEST {
            self.all().insert(Secret(end));
        }
    }

    /// Searches everything that was written in `directory`.
    pub(super) fn search(&self, directory: &Path) {
        let files = files_of(directory);
        files.iter().filter_map(|file| fs::read_to_string(file).ok()).for_each(|text| self.add_key(&text));
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        for log in files.iter().filter(|file| is_log(file)) {
            let Ok(bytes) = fs::read(log) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            let name = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if self.all().iter().any(|Secret(secret)| text.contains(secret.as_str())) {
                found.push(format!("{name} has a secret in it"));
            }
            if text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).any(is_vault_token) {
                found.push(format!("{name} has what looks like a token of Vault's in it"));
            }
        }
    }

    /// The body of a private key, if the text has one.
    pub(super) fn add_key(&self, text: &str) {
        let Some((_, after)) = text.split_once("PRIVATE KEY-----\n") else { return };
        if let Some(line) = after.lines().next() {
            self.add(line);
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeSet<Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// OpenBao's service and batch tokens, and Vault's.
fn is_vault_token(word: &str) -> bool {
    let body = ["s.", "b.", "hvs.", "hvb."].iter().find_map(|prefix| word.strip_prefix(prefix));
    body.is_some_and(|body| body.len() >= 24 && body.chars().all(|c| c.is_ascii_alphanumeric()))
}

fn is_log(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "log" || extension == "jsonl")
}

/// Files of the directory and of those in it, links not followed.
fn files_of(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files
}

const LOOKED_FOR: usize = 40;
const SHORTEST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_a_log_is_found_and_one_in_its_own_file_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| fs::write(directory.path().join(name), content).unwrap();
        let secrets = Secrets::default();
        secrets.add("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLXdoaWNoLWlzLWxvbmctZW5vdWdo");
        let key = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg";
        write("key.pem", &format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n"));
        write("token", "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLXdoaWNoLWlzLWxvbmctZW5vdWdo");
        write(
            "clean.log",
            "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0. and s.short and files.abcdefghijklmnopqrstuvwxyz",
        );
        secrets.search(directory.path());
        assert_eq!(found(), [""; 0]);

        write(
            "token.log",
            "refused eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLXdoaWNoLWlzLWxvbmctZW5vdWdo!",
        );
        write("key.log", &format!("debug: {key}"));
        write("audit.jsonl", "{\"token\":\"s.abcdefghijklmnopqrstuvwx\"}");
        secrets.search(directory.path());
        let mut told = found();
        told.sort();
        assert_eq!(
            told,
            [
                "audit.jsonl has what looks like a token of Vault's in it",
                "key.log has a secret in it",
                "token.log has a secret in it",
            ]
        );
    }
}
