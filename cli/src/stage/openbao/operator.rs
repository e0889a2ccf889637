//! Asks by the root token.

use anyhow::Result;
use reqwest::Method;
use serde_json::Value;

use super::super::rest::Rest;
use super::super::secret::Secret;
use super::super::tls_authority::TlsAuthority;

#[derive(Debug)]
pub(super) struct Operator {
    server: Rest,
    token: Secret,
}

impl Operator {
    /// Whoever stands before the port without a token, and believes that authority alone.
    pub(super) fn new(port: u16, authority: &TlsAuthority) -> Result<Self> {
        Ok(Self { server: Rest::new("OpenBao", port, authority)?, token: Secret::new("") })
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
        self.server.status("v1/sys/health").await
    }

    pub(super) async fn write(&self, path: &str, what: &Value) -> Result<Value> {
        self.ask(Method::POST, path, Some(what)).await
    }

    pub(super) async fn read(&self, path: &str) -> Result<Value> {
        self.ask(Method::GET, path, None).await
    }

    async fn ask(&self, method: Method, path: &str, what: Option<&Value>) -> Result<Value> {
        let who = ("X-Vault-Token", self.token.expose());
        self.server.ask(method, &format!("v1/{path}"), who, what).await
    }
}
