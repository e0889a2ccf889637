//! A Vault that nobody listens at.

use std::time::{Duration, UNIX_EPOCH};

use signet_backends::vault::{IssuerChain, VaultConfig};
use signet_identity::testing::TestAuthority;
use signet_runtime::config::{Document, Environment};

/// As little as can be configured.
pub(super) fn vault_config() -> VaultConfig {
    let text = "[vault]\naddress = ['http://127.0.0.1:1']\nauth = { method = 'jwt', role = 'r' }";
    let none: [(&str, &str); 0] = [];
    let document = Document::parse("agent.toml", text, Environment::of("TEST_", &[], none)).unwrap();
    VaultConfig::read(&document.section("vault")).unwrap()
}

/// An issuer with a root of its own.
pub(super) fn issuer_chain(id: &str) -> IssuerChain {
    let authority = TestAuthority::new("cluster.local", UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    IssuerChain {
        issuer_id: id.to_owned(),
        certificate: authority.certificate().clone(),
        intermediates: Vec::new(),
        roots: authority.bundle().authorities().to_vec(),
    }
}
