//! How we become somebody at Vault.

use std::{path::PathBuf, time::Duration};

use serde_json::json;
use tokio::time::{Instant, sleep};
use vaultrs::api::auth::{
    approle::requests::LoginWithApproleRequest, cert::requests::LoginRequest,
    kubernetes::requests::LoginWithKubernetesRequest, oidc::requests::JWTLoginRequest,
};
use vaultrs::api::token::requests::LookupTokenSelfRequest;
use zeroize::{Zeroize, Zeroizing};

use super::{
    AuthConfig, AuthMethod, VaultClient, VaultError,
    answer::Auth,
    files::{read_secret, read_text},
    request::Request,
};

/// Who logs in: as configured, by files that are read each time; or the holder of a JWT that somebody showed.
pub enum Login {
    /// `[vault.auth]`.
    Configured,
    /// A workload's own token, by the mount and the role of `[vault.auth]`.
    Jwt(Zeroizing<String>),
}

impl Login {
    /// Logs in before `deadline`. What may pass is tried again, for a moment only: whoever is told comes back by himself.
    pub(super) async fn run(&self, client: &VaultClient, deadline: Instant) -> Result<Auth, VaultError> {
        client.refresh()?;
        let (mut pause, give_up) = (FIRST_PAUSE, deadline.min(Instant::now() + INSISTENCE));
        loop {
            match self.once(client, deadline).await {
                Err(VaultError::Unconfirmed { .. }) if Instant::now() + pause < give_up => {
                    sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                    pause *= 2;
                }
                outcome => return outcome,
            }
        }
    }

    /// Whether whoever logs in is given a token of his own, to do away with when it is needed no more. One out of a
    /// file is somebody else's.
    pub(super) fn makes_tokens(&self, method: &AuthMethod) -> bool {
        !matches!((self, method), (Self::Configured, AuthMethod::TokenFile { .. }))
    }

    async fn once(&self, client: &VaultClient, deadline: Instant) -> Result<Auth, VaultError> {
        let AuthConfig { mount, method } = &client.config().auth;
        if let (Self::Configured, AuthMethod::TokenFile { token_file }) = (self, method) {
            return adopt(client, read_secret(token_file)?, deadline).await;
        }
        let request = self.request(mount, method)?;
        let path = request.path.clone();
        let answer = client.ask::<serde_json::Value>(&request, None, deadline).await;
        let answer = answer.map_err(|error| refusal(method, error))?;
        answer.auth.ok_or(VaultError::Nonsense { path, reason: "it has no token".to_owned() })
    }

    fn request(&self, mount: &str, method: &AuthMethod) -> Result<Request, VaultError> {
        let mount = mount.to_owned();
        let jwt = |jwt_file: &PathBuf| match self {
            Self::Configured => read_text(jwt_file),
            Self::Jwt(jwt) => Ok(jwt.as_str().to_owned()),
        };
        match method {
            AuthMethod::Kubernetes { role, jwt_file } => {
                let mut login = LoginWithKubernetesRequest { mount, role: role.clone(), jwt: jwt(jwt_file)? };
                let request = Request::of(&login);
                login.jwt.zeroize();
                request
            }
            AuthMethod::Jwt { role, jwt_file } => {
                let mut login = JWTLoginRequest { mount, role: role.clone(), jwt: jwt(jwt_file)? };
                let request = Request::of(&login);
                login.jwt.zeroize();
                request
            }
            AuthMethod::AppRole { role_id_file, secret_id_file } => {
                let (role_id, secret) = (read_text(role_id_file)?, read_secret(secret_id_file)?);
                let mut login = LoginWithApproleRequest { mount, role_id, secret_id: secret.to_string() };
                let request = Request::of(&login);
                login.secret_id.zeroize();
                request
            }
            // vaultrs calls the role by a name that Vault does not read; an empty body means any role that
            // fits.
            AuthMethod::Cert { role } => {
                let mut request = Request::of(&LoginRequest { mount, cert_name: String::new() })?;
                let body = role.as_ref().map_or_else(|| json!({}), |role| json!({"name": role}));
                *request.body = body.to_string().into_bytes();
                Ok(request)
            }
            AuthMethod::TokenFile { .. } => {
                Err(VaultError::Nonsense { path: mount, reason: "a token file is no login".to_owned() })
            }
        }
    }
}

/// A token that somebody else made: how long it lives is asked for.
async fn adopt(
    client: &VaultClient,
    token: Zeroizing<String>,
    deadline: Instant,
) -> Result<Auth, VaultError> {
    #[derive(serde::Deserialize)]
    struct Looked {
        #[serde(default, rename = "type")]
        token_type: String,
        #[serde(default)]
        ttl: u64,
        #[serde(default)]
        renewable: bool,
    }
    let request = Request::of(&LookupTokenSelfRequest::default())?;
    let path = request.path.clone();
    let Looked { token_type, ttl, renewable } =
        client.ask::<Looked>(&request, Some(&token), deadline).await?.required(&path)?;
    Ok(Auth { client_token: token, token_type, lease_duration: ttl, renewable })
}

/// A login has no token whose policy could be at fault. To one by Kubernetes, Vault answers 403 whatever went wrong with
/// the review of the token, an API server that could not be reached among it, and for what it has found out itself. To
/// one by a JWT it answers 400, also if it could not get the keys that tell whether it is good.
fn refusal(method: &AuthMethod, error: VaultError) -> VaultError {
    match (error, method) {
        (VaultError::Denied { path, reason }, AuthMethod::Kubernetes { .. }) if !is_vaults_own(&reason) => {
            VaultError::Unconfirmed { path, reason, remedy: REVIEW }
        }
        (VaultError::Refused { path, reason }, AuthMethod::Jwt { .. }) if tells_of_no_keys(&reason) => {
            VaultError::Unconfirmed { path, reason, remedy: KEYS }
        }
        (VaultError::Denied { path, reason }, _) => VaultError::Refused { path, reason },
        (error, _) => error,
    }
}

const REVIEW: &str = "it says so whatever the cause: the service account may be gone or the token over, or Vault cannot \
                      reach the API server or may not create tokenreviews there";

const KEYS: &str = "Vault cannot get the keys of the issuer of the token: it must reach what `jwks_url` or \
                    `oidc_discovery_url` of its method names, and may have to be let in there";

/// What it says of the keys (`pathLogin` of the method; `VerifySignature` of go-oidc). The discovery document is got when
/// the first one logs in.
fn tells_of_no_keys(reason: &str) -> bool {
    reason.starts_with("error configuring token validator:")
        || reason.starts_with("error validating token: error verifying token signature: fetching keys ")
}

/// Whether Vault has refused a token before it had it reviewed, by what it reads in it (`parseAndValidateJWT` of the
/// method). A namespace is also not authorized, with more text, if the API server does not tell its labels.
fn is_vaults_own(reason: &str) -> bool {
    reason == "service account name not authorized"
        || reason == "namespace not authorized"
        || reason.starts_with("invalid audience (aud) claim")
        || reason.starts_with("invalid expiration time (exp) claim")
}

const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Everybody waits for the one who logs in, and is not to run out of time without learning why.
const INSISTENCE: Duration = Duration::from_secs(3);
