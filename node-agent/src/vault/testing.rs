//! A Vault that nobody listens at, and what one may say.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;
use signet_backends::vault::{IssuerChain, VaultConfig};
use signet_identity::{PrivateKey, testing::TestAuthority};
use signet_runtime::config::{Document, Environment};

/// As little as can be configured.
pub(super) fn vault_config() -> VaultConfig {
    vault_config_at(1)
}

/// The same, for a Vault on this port of 127.0.0.1.
pub(super) fn vault_config_at(port: u16) -> VaultConfig {
    let text =
        format!("[vault]\naddress = ['http://127.0.0.1:{port}']\nauth = {{ method = 'jwt', role = 'r' }}");
    let none: [(&str, &str); 0] = [];
    let document = Document::parse("agent.toml", &text, Environment::of("TEST_", &[], none)).unwrap();
    VaultConfig::read(&document.section("vault")).unwrap()
}

/// An authority with a root of its own.
pub(super) fn authority() -> TestAuthority {
    TestAuthority::new("cluster.local", now())
}

/// A leaf of an authority.
pub(super) fn leaf_of(authority: &TestAuthority, lifetime: Duration) -> Vec<CertificateDer<'static>> {
    let key = PrivateKey::generate().unwrap();
    let identity = "spiffe://cluster.local/ns/a/sa/web".parse().unwrap();
    authority.leaf(key.public_key(), &identity, now()).valid(now(), now() + lifetime).sign()
}

/// An issuer with a root of its own.
pub(super) fn issuer_chain(id: &str) -> IssuerChain {
    issuer_of(id, &authority())
}

/// An authority as Vault tells of it.
pub(super) fn issuer_of(id: &str, authority: &TestAuthority) -> IssuerChain {
    IssuerChain {
        issuer_id: id.to_owned(),
        certificate: authority.certificate().clone(),
        intermediates: Vec::new(),
        roots: authority.bundle().authorities().to_vec(),
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}
