//! `[vault]`: where Vault is, how it is trusted, who we are there, and what signs. Read by the CA and by the
//! agent.

use std::{path::PathBuf, time::Duration};

use reqwest::Url;
use signet_runtime::config::{Section, Setting, one_of};

use super::{
    VaultFileError,
    files::{read_secret, read_text},
    transport::judge_anchors,
};

/// One Vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultConfig {
    /// `address`: of each node, with a path prefix if there is one; they end in a slash here.
    pub addresses: Vec<Url>,
    /// `namespace`: sent as `X-Vault-Namespace`.
    pub namespace: Option<String>,
    /// `ca_file`: PEM of the only CAs that its certificate may come from. Default: those of the operating
    /// system.
    pub ca_file: Option<PathBuf>,
    /// `client_certificate_file` and `client_key_file`: what we show to it.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// `timeout`: for one attempt, from the request to the last byte of the answer.
    pub timeout: Duration,
    /// `concurrency`: requests under way.
    pub concurrency: usize,
    /// `queue`: requests that wait for that.
    pub queue: usize,
    /// What signs there.
    pub pki: PkiConfig,
    /// Who we are there.
    pub auth: AuthConfig,
}

/// The PKI that signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PkiConfig {
    /// `mount`.
    pub mount: String,
    /// `role`: signs for workloads.
    pub role: String,
    /// `serving_role`: signs the CA's own certificate.
    pub serving_role: Option<String>,
    /// `issuer`: name or id of the issuer to sign by; without it, the role decides.
    pub issuer: Option<String>,
    /// `roots_file`: PEM of the only roots that proxies are to trust. Without it, those that Vault says.
    pub roots_file: Option<PathBuf>,
    /// `intermediate_lifetime`: what is asked for the CA's own certificate.
    pub intermediate_lifetime: Duration,
}

/// How we log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthConfig {
    /// `mount`: of the method. Default: its usual one.
    pub mount: String,
    /// `method`, with what it needs.
    pub method: AuthMethod,
}

/// A login method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthMethod {
    /// `kubernetes`: Vault has the service-account token of `jwt_file` reviewed.
    Kubernetes {
        /// `role`.
        role: String,
        /// `jwt_file`.
        jwt_file: PathBuf,
    },
    /// `jwt`: Vault verifies the token of `jwt_file` by its issuer's keys.
    Jwt {
        /// `role`. Without it, the mount's default.
        role: Option<String>,
        /// `jwt_file`.
        jwt_file: PathBuf,
    },
    /// `approle`.
    AppRole {
        /// `role_id_file`.
        role_id_file: PathBuf,
        /// `secret_id_file`: private.
        secret_id_file: PathBuf,
    },
    /// `cert`: by the client certificate of the connection.
    Cert {
        /// `role`. Without it, Vault looks for one that fits.
        role: Option<String>,
    },
    /// `token-file`: a token that somebody else keeps fresh.
    TokenFile {
        /// `token_file`: private.
        token_file: PathBuf,
    },
}

#[derive(Clone, Copy)]
enum Method {
    Kubernetes,
    Jwt,
    AppRole,
    Cert,
    TokenFile,
}

impl Setting for Method {
    fn parse(text: &str) -> Result<Self, String> {
        one_of(
            text,
            &[
                ("kubernetes", Self::Kubernetes),
                ("jwt", Self::Jwt),
                ("approle", Self::AppRole),
                ("cert", Self::Cert),
                ("token-file", Self::TokenFile),
            ],
        )
    }
}

impl VaultConfig {
    /// Reads `[vault]` and `[vault.auth]`. `None`: there is no `address`, or none that is one.
    pub fn read(section: &Section<'_>) -> Option<Self> {
        let texts: Vec<String> = section.list("address");
        let addresses: Vec<Url> = texts.iter().filter_map(|text| address(section, text)).collect();
        let certificate: Option<PathBuf> = section.maybe("client_certificate_file");
        let key: Option<PathBuf> = section.maybe("client_key_file");
        if certificate.is_some() != key.is_some() {
            section.fault("client_certificate_file", "needs `client_key_file`, and the other way round");
        }
        let auth = AuthConfig::read(&section.section("auth"));
        if auth.is_none() && !texts.is_empty() {
            section.fault("auth.method", NO_METHOD);
        }
        if let Some(AuthConfig { method: AuthMethod::Cert { .. }, .. }) = &auth
            && certificate.is_none()
        {
            section.fault("client_certificate_file", "is required with `auth.method = \"cert\"`");
        }
        let config = Self {
            namespace: maybe_name(section, "namespace"),
            ca_file: section.maybe("ca_file"),
            client_certificate: certificate.zip(key),
            timeout: section.within(
                "timeout",
                Duration::from_secs(5),
                Duration::from_millis(100)..=Duration::from_secs(60),
            ),
            concurrency: section.within("concurrency", 32, 1..=1024),
            queue: section.within("queue", 1024, 0..=1 << 20),
            pki: PkiConfig::read(section),
            auth: auth?,
            addresses,
        };
        (!config.addresses.is_empty()).then_some(config)
    }

    /// What is wrong with the files that it names, each with its key.
    pub fn judge_files(&self) -> Vec<(&'static str, VaultFileError)> {
        let mut faults = Vec::new();
        let mut judge =
            |key, outcome: Result<(), VaultFileError>| faults.extend(outcome.err().map(|fault| (key, fault)));
        if let Some(path) = &self.ca_file {
            judge("ca_file", judge_anchors(path));
        }
        if let Some((certificate, key)) = &self.client_certificate {
            judge("client_certificate_file", read_text(certificate).map(drop));
            judge("client_key_file", read_secret(key).map(drop));
        }
        if let Some(path) = &self.pki.roots_file {
            judge("roots_file", read_text(path).map(drop));
        }
        match &self.auth.method {
            AuthMethod::Kubernetes { jwt_file, .. } | AuthMethod::Jwt { jwt_file, .. } => {
                judge("auth.jwt_file", read_text(jwt_file).map(drop));
            }
            AuthMethod::AppRole { role_id_file, secret_id_file } => {
                judge("auth.role_id_file", read_text(role_id_file).map(drop));
                judge("auth.secret_id_file", read_secret(secret_id_file).map(drop));
            }
            AuthMethod::TokenFile { token_file } => {
                judge("auth.token_file", read_secret(token_file).map(drop))
            }
            AuthMethod::Cert { .. } => {}
        }
        faults
    }

    pub(super) fn first_address(&self) -> String {
        self.addresses.first().map(ToString::to_string).unwrap_or_default()
    }
}

impl PkiConfig {
    /// `issuer`, or what Vault calls the mount's default.
    pub(super) fn issuer_name(&self) -> &str {
        self.issuer.as_deref().unwrap_or("default")
    }

    fn read(section: &Section<'_>) -> Self {
        let day = Duration::from_secs(24 * 3600);
        Self {
            mount: name(section, "mount", "pki"),
            role: name(section, "role", "signet-workload"),
            serving_role: maybe_name(section, "serving_role"),
            issuer: maybe_name(section, "issuer"),
            roots_file: section.maybe("roots_file"),
            intermediate_lifetime: section.within(
                "intermediate_lifetime",
                30 * day,
                Duration::from_secs(60)..=3650 * day,
            ),
        }
    }
}

impl AuthConfig {
    fn read(section: &Section<'_>) -> Option<Self> {
        let method: Option<Method> = section.maybe("method");
        let role: Option<String> = section.maybe("role");
        let mount = maybe_name(section, "mount");
        let jwt_file = section.optional("jwt_file", PathBuf::from(DEFAULT_JWT_FILE));
        let files: [Option<PathBuf>; 3] =
            ["role_id_file", "secret_id_file", "token_file"].map(|key| section.maybe(key));
        let [role_id_file, secret_id_file, token_file] = files;
        let required = |key: &str| section.fault(key, "is required with this `method`");
        let (usual, method) = match method? {
            Method::Kubernetes => {
                let role = role.or_else(|| {
                    required("role");
                    None
                });
                ("kubernetes", AuthMethod::Kubernetes { role: role?, jwt_file })
            }
            Method::Jwt => ("jwt", AuthMethod::Jwt { role, jwt_file }),
            Method::AppRole => {
                if role_id_file.is_none() {
                    required("role_id_file");
                }
                if secret_id_file.is_none() {
                    required("secret_id_file");
                }
                let (role_id_file, secret_id_file) = role_id_file.zip(secret_id_file)?;
                ("approle", AuthMethod::AppRole { role_id_file, secret_id_file })
            }
            Method::Cert => ("cert", AuthMethod::Cert { role }),
            Method::TokenFile => {
                if token_file.is_none() {
                    required("token_file");
                }
                ("token", AuthMethod::TokenFile { token_file: token_file? })
            }
        };
        Some(Self { mount: mount.unwrap_or_else(|| usual.to_owned()), method })
    }
}

fn name(section: &Section<'_>, key: &str, default: &str) -> String {
    maybe_name(section, key).unwrap_or_else(|| default.to_owned())
}

/// A mount, a role or a namespace: part of a path, or as good as that, so no place for what would lead
/// elsewhere.
fn maybe_name(section: &Section<'_>, key: &str) -> Option<String> {
    let name: String = section.maybe(key)?;
    let name = name.trim_matches('/').to_owned();
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    if !name.split('/').all(plain) {
        section.fault(
            key,
            format!("`{name}` is no name of Vault's (want letters, digits, `-`, `_`, `.`, and `/` between)"),
        );
    }
    Some(name)
}

fn address(section: &Section<'_>, text: &str) -> Option<Url> {
    let want = "want e.g. `https://vault.vault.svc:8200`";
    let fault = |fault: String| {
        section.fault("address", fault);
        None
    };
    let mut url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return fault(format!("is no URL: {error} ({want})")),
    };
    // Not repeated: there may be a password among it.
    let has_user = !url.username().is_empty() || url.password().is_some();
    if has_user || url.query().is_some() || url.fragment().is_some() {
        return fault(format!("has more than host, port and path ({want})"));
    }
    if !matches!(url.scheme(), "https" | "http") {
        return fault(format!("is no URL of a server ({want})"));
    }
    let local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if url.scheme() != "https" && !(url.scheme() == "http" && local) {
        return fault(format!(
            "`{text}`: tokens do not travel unprotected (want https; http only to this machine)"
        ));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Some(url)
}

const NO_METHOD: &str = "is required, with what it needs (want kubernetes, jwt, approle, cert or token-file)";
/// Where `deploy/` projects the token that is meant for Vault.
const DEFAULT_JWT_FILE: &str = "/var/run/secrets/vault/token";

#[cfg(test)]
mod tests;
