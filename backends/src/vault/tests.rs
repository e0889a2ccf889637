//! Against a real OpenBao, or a Vault that `VAULT_BIN` names, with [`between::Between`] before it where it
//! must misbehave.

mod bao;
mod between;
mod chain;
mod client;
mod intermediate;
mod leaf;
mod login;
mod secrets;
mod session;

use std::time::Duration;

use signet_runtime::config::{Document, Environment};
use tokio::time::Instant;

use super::{VaultClient, VaultConfig};

/// For one request, on a machine that is busy with other things.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// `[vault]` as an operator would write it, with the lines that matter.
pub(super) fn config(lines: &str) -> VaultConfig {
    let environment = Environment::of("T_", &[], [("T_UNUSED", "")].into_iter().take(0));
    let document = Document::parse("t.toml", &format!("[vault]\n{lines}"), environment).unwrap();
    let config = VaultConfig::read(&document.section("vault"));
    document.finish(config).unwrap()
}

/// A client of the Vaults on these ports.
pub(super) fn client(ports: &[u16], lines: &str) -> VaultClient {
    let addresses: Vec<_> = ports.iter().map(|port| format!("'http://127.0.0.1:{port}'")).collect();
    let auth = if lines.contains("auth.method") {
        ""
    } else {
        "auth.method = 'token-file'\nauth.token_file = '/none'"
    };
    let lines = format!("address = [{}]\n{lines}\n{auth}", addresses.join(", "));
    VaultClient::new(config(&lines), "t").unwrap()
}
