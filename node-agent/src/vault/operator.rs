//! What `signet-node-agent vault` is about: whether Vault signs for a workload, and how it is set up to.

use std::path::Path;

use signet_backends::vault::{Purpose, Signs, VaultCheck, VaultConfig, VaultSetup};
use signet_client::{Token, TokenError};
use signet_identity::Clock;
use zeroize::Zeroizing;

use crate::{
    config::{Config, Source},
    workload::audience::{AudienceFault, TokenAudience},
};

/// Why there is nothing to try.
#[derive(Debug, thiserror::Error)]
pub enum NothingToTry {
    /// A CA signs.
    #[error(
        "Vault does not sign for this agent: `ca.kind` is not `vault` (to look before it is changed, set \
         SIGNET_AGENT_CA_KIND=vault)"
    )]
    NotByVault,
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No agent would show it to Vault.
    #[error(transparent)]
    Audience(#[from] AudienceFault),
    /// It claims no identity.
    #[error("the token names no service account (want a `sub` like `system:serviceaccount:shop:cart`)")]
    NamesNobody,
}

/// The whole path to a certificate for the workload of the token in `token_file`, to be tried.
///
/// # Errors
/// See [`NothingToTry`].
pub fn check<'a>(
    config: &Config,
    token_file: &Path,
    clock: &'a dyn Clock,
) -> Result<VaultCheck<'a>, NothingToTry> {
    let (vault, audience) = vault(config)?;
    let token = Token::read(token_file)?;
    let claims = token.claims().map_err(|_| NothingToTry::NamesNobody)?;
    audience.check(claims)?;
    let trust_domain = config.identity.trust_domain.clone();
    let identity = claims.workload(&trust_domain).ok_or(NothingToTry::NamesNobody)?;
    let purpose = Purpose::Workload {
        token: Zeroizing::new(token.reveal().to_owned()),
        identity,
        lifetime: config.certificate.lifetime,
    };
    Ok(VaultCheck { config: vault.clone(), trust_domain, purpose, clock })
}

/// What has to be set up for workloads.
///
/// # Errors
/// [`NothingToTry::NotByVault`].
pub fn setup(config: &Config) -> Result<VaultSetup<'_>, NothingToTry> {
    let (vault, audience) = vault(config)?;
    let signs = Signs::Workloads { audience: &audience.vault, lifetime: config.certificate.lifetime };
    Ok(VaultSetup { config: vault, trust_domain: &config.identity.trust_domain, signs })
}

fn vault(config: &Config) -> Result<(&VaultConfig, &TokenAudience), NothingToTry> {
    match (&config.ca.source, &config.ca.audience) {
        (Source::Vault(vault), Some(audience)) => Ok((vault, audience)),
        _ => Err(NothingToTry::NotByVault),
    }
}
