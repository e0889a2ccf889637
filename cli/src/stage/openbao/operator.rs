//! Asks by the root token.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method, RequestBuilder};
use rustls::ClientConfig;
use serde_json::Value;
use signet_runtime::tls;
use zeroize::Zeroizing;

use super::super::tls_authority::TlsAuthority;

/// A text that is not shown.
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// For whoever it is meant for, and for those who look whether it is told anywhere.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret")
    }
}

#[derive(Debug)]
pub(super) struct Operator {
    client: Client,
    root: String,
    token: Secret,
}

impl Operator {
    /// Whoever stands before the port without a token, and believes that authority alone.
    pub(super) fn new(port: u16, authority: &TlsAuthority) -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.certificate().clone())?;
        let tls = ClientConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // A connection that is kept would be a dead one after each end of the server.
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .pool_max_idle_per_host(0)
            .timeout(LIMIT)
            .build()?;
        Ok(Self { client, root: format!("https://127.0.0.1:{port}/v1"), token: Secret::new("") })
    }

    /// From now on it asks by this token.
    pub(super) fn becomes(&mut self, token: Secret) {
        self.token = token;
    }

    pub(super) fn token(&self) -> &str {
        self.token.expose()
    }

    /// The status of `sys/health`, if there is an answer at all.
    pub(super) async fn health(&self) -> Option<u16> {
        let answer = self.client.get(format!("{}/sys/health", self.root)).send().await.ok()?;
        Some(answer.status().as_u16())
    }

    pub(super) async fn write(&self, path: &str, what: &Value) -> Result<Value> {
        self.ask(Method::POST, path, |request| request.body(what.to_string())).await
    }

    pub(super) async fn read(&self, path: &str) -> Result<Value> {
        self.ask(Method::GET, path, |request| request).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Value> {
        let request = self.client.request(method, format!("{}/{path}", self.root));
        let request = with(request.header("X-Vault-Token", self.token.expose()));
        let answer = request.send().await.with_context(|| format!("OpenBao was asked for {path}"))?;
        let (status, body) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            bail!("OpenBao answers {path} with {status}: {}", body.trim());
        }
        match body.as_str() {
            "" => Ok(Value::Null),
            body => serde_json::from_str(body).with_context(|| format!("{path} is no JSON")),
        }
    }
}

/// Nothing that an operator asks for takes longer, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(30);
