//! Documents from the web.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use rustls::{ClientConfig, RootCertStore};
use signet_runtime::tls;

use super::MAX_BYTES;

/// The document at `url`, over TLS that the roots of this machine vouch for.
pub(super) async fn fetch(url: &Url) -> Result<Vec<u8>> {
    let mut response = client()?
        .get(url.clone())
        .send()
        .await
        .map_err(reqwest::Error::without_url)
        .with_context(|| {
            format!("cannot fetch {url}: check the address; a server that this machine does not trust is asked by tls://")
        })?;
    ensure!(response.status().is_success(), "{url} answered with HTTP status {}", response.status());
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await.with_context(|| format!("{url} broke off"))? {
        ensure!(document.len() + chunk.len() <= MAX_BYTES, "{url} is longer than {MAX_BYTES} bytes");
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

fn client() -> Result<Client> {
    let mut roots = RootCertStore::empty();
    // What does not parse is left out, as every operating system's store has such.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions()?;
    Ok(Client::builder()
        .tls_backend_preconfigured(tls.with_root_certificates(roots).with_no_client_auth())
        .redirect(Policy::limited(MOST_REDIRECTS))
        .timeout(TIMEOUT)
        .user_agent(concat!("signet/", env!("CARGO_PKG_VERSION")))
        .build()?)
}

/// From dialling to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);
const MOST_REDIRECTS: usize = 5;
