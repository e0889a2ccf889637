//! `signet token`: the tokens by which workloads prove who they are.
//!
//! `mint` and `jwks` are a development issuer. Its key is marked as for development, and a certificate authority
//! accepts it only when it was started with `--development`.

mod inspection;
pub(crate) mod key_directory;

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use serde::Serialize;
use signet_identity::jwt::{DEVELOPMENT_ISSUER, DevelopmentIssuer, Pod, TokenRequest};
use signet_identity::{Clock, SpiffeId, TrustDomain};
use signet_runtime::SystemClock;

use crate::input::Source;
use crate::outcome::Outcome;
use crate::output::{Console, json_moment};
use crate::task;
use inspection::Inspection;

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Mint a token shaped like Kubernetes' own, for development
    #[command(after_help = MINT_EXAMPLES)]
    Mint(Mint),
    /// Print the keys by which minted tokens are verified, as a JWK Set
    #[command(after_help = JWKS_EXAMPLES)]
    Jwks(Issuer),
    /// Show what a token says, without verifying any of it
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect(Inspect),
}

/// The development issuer.
#[derive(Debug, Args)]
pub(crate) struct Issuer {
    /// Directory of the issuer's key; `mint` makes it, with a new key, if it is not there
    #[arg(long, value_name = "DIRECTORY")]
    keys: PathBuf,
    /// What the issuer calls itself: `iss` of its tokens
    #[arg(long, value_name = "URL", default_value = DEVELOPMENT_ISSUER)]
    issuer: String,
}

/// What the token says.
#[derive(Debug, Args)]
pub(crate) struct Mint {
    #[command(flatten)]
    issuer: Issuer,
    /// Namespace of the service account
    #[arg(long, default_value = "default")]
    namespace: String,
    /// The service account that the token speaks for
    #[arg(long, value_name = "NAME", default_value = "default")]
    service_account: String,
    /// Whom the token is for; may be given several times
    #[arg(long, default_value = "istio-ca")]
    audience: Vec<String>,
    /// How long the token is valid, such as `90s` or `1h`
    #[arg(long, default_value = "1h", value_parser = parse_lifetime)]
    lifetime: Duration,
    /// Pod that the token is bound to
    #[arg(long, value_name = "NAME")]
    pod: Option<String>,
    /// Node that the pod runs on
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

/// The token to show.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Where the token is: a file, `-` or nothing for standard input, or https://...
    #[arg(value_name = "INPUT", default_value = "-")]
    input: Source,
}

const MINT_EXAMPLES: &str = "\
Example:
  signet token mint --keys ./issuer --namespace shop --service-account orders --lifetime 10m > token

For development only: signet-ca accepts such a token only when it runs with --development.";

const JWKS_EXAMPLES: &str = "\
Example:
  signet token jwks --keys ./issuer > jwks.json

In the configuration of signet-ca, which must then run with --development:
  [[issuer]]
  url = \"https://development.signet.invalid\"
  jwks_file = \"jwks.json\"";

const INSPECT_EXAMPLES: &str = "\
Examples:
  signet token inspect /var/run/secrets/tokens/istio-token
  kubectl create token orders --audience istio-ca | signet token inspect
  signet token inspect --output json ./token

Exit code 1: by its own times it is not good now. Who signed it, nobody looks at.";

impl TokenCommand {
    /// Does it.
    pub(crate) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        let now = SystemClock.now();
        match self {
            Self::Mint(mint) => {
                let request = mint.request()?;
                if key_directory::make_if_absent(&mint.issuer.keys)? {
                    let keys = mint.issuer.keys.display();
                    console.note(format_args!("made a new issuer's key in {keys}"))?;
                }
                let token = mint.issuer.open()?.mint(&request, now)?;
                console.answer(&Minted { token, expires_at: now + request.lifetime })?;
            }
            // JSON already, whatever the format.
            Self::Jwks(issuer) => console.verbatim(format!("{}\n", issuer.open()?.jwks_json()).as_bytes())?,
            Self::Inspect(inspect) => {
                let text = task::block_on(|_| async move { inspect.input.text().await })?;
                let inspection = Inspection::of(&text)?.at(now);
                console.answer(&inspection)?;
                return Ok(inspection.is_good().into());
            }
        }
        Ok(Outcome::Held)
    }
}

impl Issuer {
    fn open(&self) -> Result<DevelopmentIssuer> {
        let key = key_directory::open(&self.keys)?;
        Ok(DevelopmentIssuer::new(key, self.issuer.clone()))
    }
}

/// `exp` is in whole seconds (RFC 7519 §4.1.4), so a token of less would be over when it is made.
fn parse_lifetime(text: &str) -> Result<Duration> {
    let lifetime = humantime::parse_duration(text)?;
    ensure!(
        lifetime >= Duration::from_secs(1),
        "a token that lives less than a second is over when it is made. Give 1s or more"
    );
    Ok(lifetime)
}

impl Mint {
    fn request(&self) -> Result<TokenRequest> {
        // The names become a SPIFFE ID one day; a token that cannot should not be minted.
        let anywhere: TrustDomain = "cluster.local".parse()?;
        SpiffeId::workload(&anywhere, &self.namespace, &self.service_account)
            .context("--namespace and --service-account do not name a workload")?;
        Ok(TokenRequest {
            namespace: self.namespace.clone(),
            service_account: self.service_account.clone(),
            audiences: self.audience.clone(),
            lifetime: self.lifetime,
            pod: Pod { name: self.pod.clone(), uid: None, node: self.node.clone() },
        })
    }
}

/// A token, to be used.
#[derive(Debug, Serialize)]
struct Minted {
    token: String,
    #[serde(serialize_with = "json_moment")]
    expires_at: SystemTime,
}

impl Display for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.token)
    }
}

#[cfg(test)]
mod tests;
