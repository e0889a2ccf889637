//! What each request shows: a token, and a CSR for its workload.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use signet_client::Token;
use signet_identity::jwt::{DEVELOPMENT_ISSUER, DevelopmentIssuer, Pod, TokenRequest};
use signet_identity::{Clock, SpiffeId, TrustDomain};
use signet_runtime::SystemClock;

use crate::load::{CsrKeys, Requests};
use crate::outcome::Usage;
use crate::token::key_directory;

/// Tokens of one workload, and the keys of its CSRs.
#[derive(Debug, Args)]
pub(super) struct AskFlags {
    /// File with a token; may be given several times, and requests show them by turns
    #[arg(long = "token-file", value_name = "FILE", required_unless_present = "issuer_keys")]
    token_files: Vec<PathBuf>,
    /// Mint tokens of `default/default` instead, by the development issuer's key in this directory
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "token_files")]
    issuer_keys: Option<PathBuf>,
    /// How many are minted; requests show them by turns, and a CA may remember those that it has seen
    #[arg(long, value_name = "N", default_value_t = 1_000, conflicts_with = "token_files", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    tokens: u32,
    /// Keys of the CSRs
    #[arg(long, value_enum, default_value_t)]
    key_algorithm: CsrKeys,
}

impl AskFlags {
    /// Reads or mints the tokens and makes the CSRs.
    pub(super) fn requests(&self, trust_domain: &TrustDomain) -> Result<Requests> {
        let tokens = match &self.issuer_keys {
            Some(keys) => mint(keys, self.tokens)?,
            None => self.token_files.iter().map(|file| Ok(Token::read(file)?)).collect::<Result<_>>()?,
        };
        let identity = workload(&tokens, trust_domain)?;
        let count = match self.key_algorithm {
            CsrKeys::EcdsaP256 => 64,
            // Each takes some hundred milliseconds to make.
            CsrKeys::Rsa2048 => 4,
        };
        Requests::new(tokens, self.key_algorithm.csrs(&identity, count)?)
    }
}

fn mint(keys: &Path, count: u32) -> Result<Vec<Token>> {
    let issuer = DevelopmentIssuer::new(key_directory::open(keys)?, DEVELOPMENT_ISSUER.to_owned());
    let request = TokenRequest {
        namespace: "default".to_owned(),
        service_account: "default".to_owned(),
        audiences: vec!["istio-ca".to_owned()],
        lifetime: LIFETIME,
        pod: Pod::default(),
    };
    (0..count).map(|_| Ok(Token::new(&issuer.mint(&request, SystemClock.now())?)?)).collect()
}

/// Whose CSRs are to be made, unverified: the CA is who decides.
fn workload(tokens: &[Token], trust_domain: &TrustDomain) -> Result<SpiffeId> {
    let mut workload = None;
    for token in tokens {
        let claimed = token.claims().ok().and_then(|claims| claims.workload(trust_domain));
        let claimed = claimed.ok_or_else(|| {
            Usage(
                "a token does not say which service account it is for: give one of Kubernetes' form"
                    .to_owned(),
            )
        })?;
        let first = workload.get_or_insert_with(|| claimed.clone());
        if *first != claimed {
            let fault = format!("the tokens are of {first} and of {claimed}: give those of one workload");
            return Err(Usage(fault).into());
        }
    }
    workload.context("there is no token")
}

/// As long as a load may last.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
