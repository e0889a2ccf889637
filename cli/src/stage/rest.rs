//! JSON over HTTPS with a server beside the mesh, as its operator.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method};
use rustls::ClientConfig;
use serde_json::Value;
use signet_runtime::tls;

use super::tls_authority::TlsAuthority;

/// The way to a server that is on no network but this machine's.
#[derive(Debug)]
pub(super) struct Rest {
    client: Client,
    server: &'static str,
    root: String,
}

/// A header that says who asks.
pub(super) type Credential<'a> = (&'static str, &'a str);

impl Rest {
    /// To the server of this name, which has a certificate of that authority, at `port` of 127.0.0.1.
    pub(super) fn new(server: &'static str, port: u16, authority: &TlsAuthority) -> Result<Self> {
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
        Ok(Self { client, server, root: format!("https://127.0.0.1:{port}") })
    }

    /// The status of the answer to nobody in particular, if there is an answer at all.
    pub(super) async fn status(&self, path: &str) -> Option<u16> {
        let answer = self.client.get(format!("{}/{path}", self.root)).send().await.ok()?;
        Some(answer.status().as_u16())
    }

    /// What is answered to this, or null if that is nothing. Fails unless it is a success.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        who: Credential<'_>,
        what: Option<&Value>,
    ) -> Result<Value> {
        let (server, (header, credential)) = (self.server, who);
        let mut request =
            self.client.request(method, format!("{}/{path}", self.root)).header(header, credential);
        if let Some(what) = what {
            request = request.header("Content-Type", "application/json").body(what.to_string());
        }
        let answer = request.send().await.with_context(|| format!("{server} was asked for {path}"))?;
        let (status, body) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            bail!("{server} answers {path} with {status}: {}", body.trim());
        }
        match body.as_str() {
            "" => Ok(Value::Null),
            body => serde_json::from_str(body).with_context(|| format!("{path} is no JSON")),
        }
    }
}

/// Nothing that an operator asks for takes longer, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(30);
