//! A Vault that nobody listens at.

use signet_backends::vault::VaultConfig;
use signet_runtime::config::{Document, Environment};

/// With this login method.
pub(super) fn vault_config(method: &str) -> VaultConfig {
    let text =
        format!("[vault]\naddress = ['http://127.0.0.1:1']\nauth = {{ method = '{method}', role = 'r' }}");
    let none: [(&str, &str); 0] = [];
    let document = Document::parse("agent.toml", &text, Environment::of("TEST_", &[], none)).unwrap();
    VaultConfig::read(&document.section("vault")).unwrap()
}
