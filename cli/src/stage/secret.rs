//! A text that is not shown.

use std::fmt;

use anyhow::{Result, anyhow};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::{SystemRandom, generate};
use zeroize::Zeroizing;

/// A text that is not shown.
pub(super) struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// One that nobody can guess.
    pub(super) fn random() -> Result<Self> {
        let bytes = generate::<[u8; 32]>(&SystemRandom::new()).map_err(|_| anyhow!("no randomness"))?;
        Ok(Self(Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(bytes.expose()))))
    }

    /// For whoever it is meant for, and for those who look whether it is told anywhere.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret")
    }
}
