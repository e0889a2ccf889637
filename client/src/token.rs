//! The credential of a workload, as an agent carries it: secret, and looked into for `exp` and `sub` alone.

use std::{
    fmt,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use ring::digest;
use signet_identity::jwt::{self, JwtError, Unverified};
use tonic::metadata::{Ascii, MetadataValue};
use zeroize::Zeroizing;

use crate::regular_file::open_regular;

/// Longest token in bytes. Kubernetes' projected tokens take about 1 KiB. A longer one would run into the
/// header-list limit of the CA, which answers with GOAWAY and so takes every other pod's call with it.
pub const MAX_TOKEN_BYTES: usize = 8 << 10;

/// A bearer token that may travel in a header: not empty, at most [`MAX_TOKEN_BYTES`], visible ASCII only
/// (RFC 9110 §5.5, without spaces).
///
/// Nothing else is known: only the CA can tell whether it is genuine. Cheap to clone; the bytes are zeroised
/// when the last clone is dropped, and `Debug` shows the hash alone.
#[derive(Clone)]
pub struct Token(Arc<Secret>);

struct Secret {
    text: Zeroizing<String>,
    hash: TokenHash,
    claims: Result<Unverified, JwtError>,
}

impl Token {
    /// Takes the token as it stands, without `Bearer `.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        if text.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        if let Some(position) = text.bytes().position(|byte| !byte.is_ascii_graphic()) {
            return Err(TokenError::IllegalCharacter { position });
        }
        Ok(Self(Arc::new(Secret {
            hash: TokenHash::of(text),
            claims: jwt::peek(text),
            text: Zeroizing::new(text.to_owned()),
        })))
    }

    /// Reads the token from a file, without the white space that editors leave around it. Follows symbolic
    /// links, so that the `..data` swap of a Kubernetes volume is seen by the next call. Never waits.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let unreadable = |source| TokenError::Unreadable { path: path.to_owned(), source };
        // A byte more than allowed tells a file that is too long from one that just fits; the rest is room
        // for white space, and the capacity keeps the secret from being copied while it grows.
        let limit = MAX_TOKEN_BYTES + 64;
        let mut text = Zeroizing::new(String::with_capacity(limit));
        let file = open_regular(path).map_err(unreadable)?;
        file.take(limit as u64).read_to_string(&mut text).map_err(unreadable)?;
        Self::new(text.trim_ascii())
    }

    /// Names these very bytes in caches and logs.
    pub fn hash(&self) -> TokenHash {
        self.0.hash
    }

    /// `exp` as the token claims it, unverified. `None`: the token is no JWT, or says nothing.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.claims().ok()?.expires_at
    }

    /// What the token claims, unverified. The CA decides whether the holder may have what it says; nothing is to
    /// be looked up by it.
    ///
    /// # Errors
    /// It is no JWT that can be read, and why.
    pub fn claims(&self) -> Result<&Unverified, &JwtError> {
        self.0.claims.as_ref()
    }

    /// The value of an `authorization` header, marked sensitive so that no dump of headers shows it.
    pub(crate) fn bearer(&self) -> MetadataValue<Ascii> {
        let text = Zeroizing::new(format!("Bearer {}", self.text()));
        // `new` let visible ASCII pass and nothing else, so there is always a header for it.
        let mut value =
            MetadataValue::try_from(text.as_str()).unwrap_or_else(|_| MetadataValue::from_static(""));
        value.set_sensitive(true);
        value
    }

    /// The secret itself, for whoever shows it to somebody that it is meant for.
    pub fn reveal(&self) -> &str {
        self.text()
    }

    pub(crate) fn text(&self) -> &str {
        &self.0.text
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.hash == other.0.hash
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(sha256 {})", self.0.hash)
    }
}

/// SHA-256 of a token. Not a secret: it opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    fn of(text: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        Self(hash)
    }
}

/// The first eight bytes in hex: enough to find a token's lines in a log.
impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({self})")
    }
}

/// Why some bytes are no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Nothing but white space.
    #[error("the token is empty; mount the workload's service-account token")]
    Empty,
    /// Longer than [`MAX_TOKEN_BYTES`].
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes; a service-account token has about 1,000")]
    TooLong,
    /// Not visible ASCII, so that no header can carry it.
    #[error("the token has an illegal character at byte {position}; it must be visible ASCII on one line")]
    IllegalCharacter {
        /// Offset of the first such byte.
        position: usize,
    },
    /// The file could not be read.
    #[error("cannot read the token file {}; check that it is mounted and readable", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn what_no_header_can_carry_is_refused() {
        let longest = "a".repeat(MAX_TOKEN_BYTES);
        assert!(Token::new(&longest).is_ok());
        for (name, text) in [
            ("empty", String::new()),
            ("a byte too long", longest + "a"),
            ("a space inside", "a b".to_owned()),
            ("a newline at the end", "a\n".to_owned()),
            ("a header of its own", "a\r\nx-forwarded-client-cert: b".to_owned()),
            ("not ASCII", "tökén".to_owned()),
        ] {
            assert!(Token::new(&text).is_err(), "{name}");
        }
    }

    #[test]
    fn neither_debug_nor_the_header_shows_the_secret() {
        let token = Token::new("a-very-secret-token").unwrap();
        let shown = format!("{token:?} {:?}", token.bearer());
        assert!(!shown.contains("secret-token"), "{shown}");
        assert_eq!(token.bearer().to_str().unwrap(), "Bearer a-very-secret-token");
    }

    #[test]
    fn a_token_that_is_no_jwt_has_no_known_end_and_claims_nothing() {
        let token = Token::new("opaque").unwrap();
        assert_eq!(token.expires_at(), None);
        assert_eq!(token.claims(), Err(&JwtError::Malformed("form")));
    }

    #[test]
    fn a_file_is_read_again_after_the_symlink_swap_of_a_kubernetes_volume() {
        let volume = tempfile::tempdir().unwrap();
        for (version, text) in [("..1", "first\n"), ("..2", "second")] {
            fs::create_dir(volume.path().join(version)).unwrap();
            fs::write(volume.path().join(version).join("token"), text).unwrap();
        }
        let (data, token) = (volume.path().join("..data"), volume.path().join("token"));
        symlink("..1", &data).unwrap();
        symlink("..data/token", &token).unwrap();
        assert_eq!(Token::read(&token).unwrap().text(), "first");

        symlink("..2", volume.path().join("..data_tmp")).unwrap();
        fs::rename(volume.path().join("..data_tmp"), &data).unwrap();
        assert_eq!(Token::read(&token).unwrap().text(), "second");
    }

    #[test]
    fn a_file_is_read_no_further_than_a_token_can_reach() {
        let volume = tempfile::tempdir().unwrap();
        let path = volume.path().join("token");
        fs::write(&path, "a".repeat(10 * MAX_TOKEN_BYTES)).unwrap();
        let token = Token::read(&path);
        assert!(matches!(token, Err(TokenError::TooLong)), "{token:?}");
    }

    #[test]
    fn what_is_no_file_is_unreadable() {
        for path in ["/nowhere/token", "/dev/zero", "/"] {
            let token = Token::read(Path::new(path));
            assert!(matches!(token, Err(TokenError::Unreadable { .. })), "{path}: {token:?}");
        }
    }
}
