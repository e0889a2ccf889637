//! The types that a key can have.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use signet_identity::{SpiffeId, TrustDomain};

/// A type that a key of the configuration can have.
///
/// Files and variables are read alike: a number or a truth value of TOML is taken as the text it was written
/// with. An enum of a process implements this with [`one_of`].
pub trait Setting: Sized {
    /// The value that `text` stands for.
    ///
    /// # Errors
    /// What is wrong and what is wanted, to stand behind the path of the key:
    /// "`0.0.0.0` is no address with a port (want e.g. `0.0.0.0:15012`)".
    fn parse(text: &str) -> Result<Self, String>;
}

/// The value of the name that `text` is, or a fault that lists all names.
///
/// # Errors
/// `text` is none of the names.
pub fn one_of<T: Clone>(text: &str, names: &[(&str, T)]) -> Result<T, String> {
    let found = names.iter().find(|(name, _)| *name == text).map(|(_, value)| value.clone());
    found.ok_or_else(|| {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        format!("unknown `{text}` (want {})", names.join(", "))
    })
}

/// Permission bits of a file or socket, written in octal and as a string: `"0660"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mode(u32);

impl Mode {
    /// The bits, at most 0777.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Readable, writable and searchable for the owner only.
    pub fn is_private(self) -> bool {
        self.0 & 0o077 == 0
    }

    /// The mode of those bits; what is above 0777 is left out.
    pub const fn of(bits: u32) -> Self {
        Self(bits & 0o777)
    }
}

impl Setting for Mode {
    fn parse(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('0').filter(|digits| digits.len() == 3);
        let bits = digits.and_then(|digits| u32::from_str_radix(digits, 8).ok());
        bits.map(Self::of)
            .ok_or_else(|| format!("`{text}` is no mode (want four octal digits in quotes, e.g. `\"0660\"`)"))
    }
}

impl Setting for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text)
            .map_err(|error| format!("`{text}` is no duration: {error} (want e.g. `24h` or `90s`)"))
    }
}

impl Setting for SocketAddr {
    fn parse(text: &str) -> Result<Self, String> {
        parsed(text, "no address with a port", "`0.0.0.0:15012`")
    }
}

impl Setting for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("is an empty path".to_owned()) } else { Ok(Self::from(text)) }
    }
}

impl Setting for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Setting for bool {
    fn parse(text: &str) -> Result<Self, String> {
        one_of(text, &[("true", true), ("false", false)])
    }
}

impl Setting for u32 {
    fn parse(text: &str) -> Result<Self, String> {
        parsed(text, "no whole number", "`256`")
    }
}

impl Setting for u64 {
    fn parse(text: &str) -> Result<Self, String> {
        parsed(text, "no whole number", "`256`")
    }
}

impl Setting for usize {
    fn parse(text: &str) -> Result<Self, String> {
        parsed(text, "no whole number", "`256`")
    }
}

impl Setting for TrustDomain {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|error| format!("`{text}` is no trust domain: {error} (want e.g. `cluster.local`)"))
    }
}

impl Setting for SpiffeId {
    fn parse(text: &str) -> Result<Self, String> {
        let want = "want e.g. `spiffe://cluster.local/ns/default/sa/web`";
        text.parse().map_err(|error| format!("`{text}` is no SPIFFE ID: {error} ({want})"))
    }
}

fn parsed<T: FromStr>(text: &str, fault: &str, example: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is {fault} (want e.g. {example})"))
}
