//! `--token-file`, `--token`: the credential that is shown.

use std::io::{self, Read};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use signet_client::{MAX_TOKEN_BYTES, Token};

/// One token, or none.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub(crate) struct TokenFlags {
    /// File with the token, or `-` for standard input; never looked into, only shown to who is asked
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The token itself. Other users of this machine can see it: better by SIGNET_TOKEN, or --token-file
    #[arg(long, value_name = "TOKEN", env = "SIGNET_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

impl TokenFlags {
    /// The token, if one was given.
    ///
    /// # Errors
    /// It cannot be read, or is none that could travel in a header.
    pub(crate) fn token(&self) -> Result<Option<Token>> {
        let token = match (&self.token_file, &self.token) {
            (Some(file), _) if file.as_os_str() == "-" => Token::new(from_standard_input()?.trim()),
            (Some(file), _) => Token::read(file),
            (None, Some(text)) => Token::new(text.trim()),
            (None, None) => return Ok(None),
        };
        Ok(Some(token?))
    }
}

fn from_standard_input() -> Result<String> {
    let mut text = String::new();
    // A byte more than allowed tells a token that is too long from one that just fits.
    let limit = MAX_TOKEN_BYTES as u64 + 64;
    io::stdin().take(limit).read_to_string(&mut text).context("cannot read a token from standard input")?;
    Ok(text)
}
