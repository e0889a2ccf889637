//! Workloads and their tokens: a development issuer, and a volume for each workload in which its token is kept fresh.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow};
use der::pem::{LineEnding, encode_string};
use signet_identity::jwt::{DEVELOPMENT_ISSUER, DevelopmentIssuer, Pod, TokenRequest};
use signet_identity::{Clock, PrivateKey, PublicKey, SpiffeId};
use signet_runtime::SystemClock;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::daemon::trust_domain;
use super::leaks::Secrets;
use super::{Stage, TokenVolume};

/// The namespace of every workload on a stage.
const NAMESPACE: &str = "shop";

/// `aud` of the tokens that a CA takes.
const CA_AUDIENCE: &str = "istio-ca";

/// The issuer of every token on a stage.
#[derive(Debug)]
pub struct TokenIssuer {
    issuer: DevelopmentIssuer,
    public_key: String,
    jwks: PathBuf,
    secrets: Arc<Secrets>,
}

impl TokenIssuer {
    /// An issuer with a new key.
    pub fn new(stage: &Stage) -> Result<Self> {
        let key = PrivateKey::generate()?;
        let public_key = public_key_pem(key.public_key())?;
        let issuer = DevelopmentIssuer::new(key, DEVELOPMENT_ISSUER.to_owned());
        let jwks = stage.write("jwks.json", &issuer.jwks_json())?;
        Ok(Self { issuer, public_key, jwks, secrets: Arc::clone(stage.secrets()) })
    }

    /// `iss` of its tokens.
    pub fn url(&self) -> &str {
        self.issuer.issuer()
    }

    /// The file with its keys.
    pub fn jwks(&self) -> &Path {
        &self.jwks
    }

    /// Its key, for who verifies by that instead of the file.
    pub fn public_key_pem(&self) -> &str {
        &self.public_key
    }

    /// `sub` of the tokens of a service account.
    pub fn subject(&self, service_account: &str) -> String {
        format!("system:serviceaccount:{NAMESPACE}:{service_account}")
    }

    /// A token for a service account, valid from now, which the CA takes.
    pub fn mint(&self, service_account: &str, lifetime: Duration) -> Result<String> {
        self.mint_for(CA_AUDIENCE, service_account, lifetime)
    }

    /// The same for somebody else.
    pub fn mint_for(&self, audience: &str, service_account: &str, lifetime: Duration) -> Result<String> {
        let request = TokenRequest {
            namespace: NAMESPACE.to_owned(),
            service_account: service_account.to_owned(),
            audiences: vec![audience.to_owned()],
            lifetime,
            pod: Pod { name: Some(format!("{service_account}-0")), uid: None, node: None },
        };
        let token = self.issuer.mint(&request, SystemClock.now())?;
        self.secrets.add(&token);
        Ok(token)
    }
}

fn public_key_pem(key: &PublicKey) -> Result<String> {
    encode_string("PUBLIC KEY", LineEnding::LF, key.spki_der()).map_err(|fault| anyhow!("{fault}"))
}

/// A service account, the identity that it gives, and a volume with its newest token.
#[derive(Debug)]
pub struct Workload {
    identity: SpiffeId,
    tokens: Arc<TokenSource>,
    directory: PathBuf,
    fresh: JoinSet<()>,
}

impl Workload {
    /// A workload with one token of this lifetime in its volume.
    pub fn new(
        stage: &Stage,
        issuer: &Arc<TokenIssuer>,
        service_account: &str,
        lifetime: Duration,
    ) -> Result<Self> {
        let directory = stage.directory().join(format!("token-{service_account}"));
        let tokens = TokenSource {
            issuer: Arc::clone(issuer),
            service_account: service_account.to_owned(),
            lifetime,
            audience: Mutex::new(CA_AUDIENCE.to_owned()),
            volume: Mutex::new(TokenVolume::create(&directory)?),
        };
        tokens.renew()?;
        let identity = SpiffeId::workload(&trust_domain()?, NAMESPACE, service_account)?;
        Ok(Self { identity, tokens: Arc::new(tokens), directory, fresh: JoinSet::new() })
    }

    /// Who it is.
    pub fn identity(&self) -> &SpiffeId {
        &self.identity
    }

    /// Its service account.
    pub fn name(&self) -> &str {
        &self.tokens.service_account
    }

    /// The directory with its newest token.
    pub fn token_directory(&self) -> &Path {
        &self.directory
    }

    /// The file with its newest token.
    pub fn token_file(&self) -> PathBuf {
        self.tokens.volume.lock().unwrap_or_else(PoisonError::into_inner).token_file()
    }

    /// A token of its own that is not put into the volume.
    pub fn mint_token(&self) -> Result<String> {
        self.tokens.mint()
    }

    /// From now on its tokens are for somebody else, the one in its volume too.
    pub fn turn_to(&self, audience: &str) -> Result<()> {
        audience.clone_into(&mut self.tokens.audience.lock().unwrap_or_else(PoisonError::into_inner));
        self.renew_token()
    }

    /// Puts a new token into the volume now.
    pub fn renew_token(&self) -> Result<()> {
        self.tokens.renew()
    }

    /// Puts a new token into the volume again and again, until the workload is dropped.
    pub fn keep_token_fresh(&mut self, every: Duration) {
        let tokens = Arc::clone(&self.tokens);
        self.fresh.spawn(async move {
            let mut pace = interval(every);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                pace.tick().await;
                // A volume that cannot be written shows soon enough, in a certificate that is not renewed.
                let _written = tokens.renew();
            }
        });
    }
}

#[derive(Debug)]
struct TokenSource {
    issuer: Arc<TokenIssuer>,
    service_account: String,
    lifetime: Duration,
    audience: Mutex<String>,
    volume: Mutex<TokenVolume>,
}

impl TokenSource {
    fn mint(&self) -> Result<String> {
        let audience = self.audience.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.issuer.mint_for(&audience, &self.service_account, self.lifetime)
    }

    fn renew(&self) -> Result<()> {
        let token = self.mint()?;
        self.volume.lock().unwrap_or_else(PoisonError::into_inner).publish(&token)
    }
}
