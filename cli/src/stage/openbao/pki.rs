//! A PKI in it: a root that signs for workloads and for the CA.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use signet_identity::SpiffeId;

use super::OpenBao;
use crate::stage::trust_domain;

/// Where it is mounted.
pub const PKI_MOUNT: &str = "pki";

/// The role that signs for workloads, asked by a CA.
pub const WORKLOAD_ROLE: &str = "signet-workload";

/// The role that signs for the workload that asks.
pub const OWN_IDENTITY_ROLE: &str = "signet-own-identity";

/// The role that signs what the CA itself serves with.
pub const SERVING_ROLE: &str = "signet-ca";

/// The policy of a CA.
pub(super) const CA_POLICY: &str = "signet-ca";

/// The policy of a workload.
pub(super) const WORKLOAD_POLICY: &str = "signet-workload";

/// A role of the PKI: what `setup --print` prints, and what tests make of it.
#[derive(Debug, Clone)]
pub struct Role(Value);

impl Role {
    /// Signs any identity of the trust domain.
    pub fn for_any_workload() -> Result<Self> {
        Ok(Self::for_uris(&format!("spiffe://{}/*", trust_domain()?)))
    }

    /// Signs the identity of the CA, under the name by which it is called.
    pub fn for_the_ca() -> Result<Self> {
        let identity = SpiffeId::certificate_authority(&trust_domain()?);
        Ok(Self::for_uris(identity.as_str())
            .with("allowed_domains", "localhost")
            .with("allow_bare_domains", true)
            .with("allow_localhost", true))
    }

    /// A profile that is ours to the letter, for URIs of this pattern.
    pub(super) fn for_uris(pattern: &str) -> Self {
        Self(json!({
            "use_csr_sans": false,
            "use_csr_common_name": false,
            "require_cn": false,
            "allow_any_name": false,
            "allow_localhost": false,
            "key_type": "ec",
            "key_bits": 256,
            "key_usage": ["DigitalSignature"],
            "basic_constraints_valid_for_non_ca": true,
            "allowed_uri_sans": [pattern],
            "no_store": true,
            "max_ttl": "24h",
        }))
    }

    /// The same, with this set to something else.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        if let Value::Object(settings) = &mut self.0 {
            settings.insert(key.to_owned(), value.into());
        }
        self
    }
}

impl OpenBao {
    /// Mounts the PKI with a root of ten years and both roles, and writes the policies of those who use it.
    pub async fn set_up_pki(&self) -> Result<()> {
        self.write(
            &format!("sys/mounts/{PKI_MOUNT}"),
            &json!({"type": "pki", "config": {"max_lease_ttl": "87600h"}}),
        )
        .await?;
        let root = json!({"issuer_name": "root-1", "common_name": "root 1", "key_type": "ec", "key_bits": 256, "ttl": "87600h"});
        self.write(&format!("{PKI_MOUNT}/root/generate/internal"), &root).await?;
        self.set_role(WORKLOAD_ROLE, &Role::for_any_workload()?).await?;
        self.set_role(SERVING_ROLE, &Role::for_the_ca()?).await?;
        let signs = |role| [format!("{PKI_MOUNT}/sign/{role}"), format!("{PKI_MOUNT}/issuer/+/sign/{role}")];
        let mut ca = vec![format!("{PKI_MOUNT}/issuer/default/sign-intermediate")];
        ca.extend([WORKLOAD_ROLE, SERVING_ROLE].into_iter().flat_map(signs));
        self.set_policy(CA_POLICY, &ca).await?;
        self.set_policy(WORKLOAD_POLICY, &signs(OWN_IDENTITY_ROLE)).await
    }

    /// Makes a role, or makes it another.
    pub async fn set_role(&self, name: &str, role: &Role) -> Result<()> {
        self.write(&format!("{PKI_MOUNT}/roles/{name}"), &role.0).await.map(drop)
    }

    /// Makes a new root, and has the mount sign by it from now on. The old one stays among its issuers.
    pub async fn rotate_root(&self, name: &str) -> Result<()> {
        let root = json!({"issuer_name": name, "common_name": name, "key_type": "ec", "key_bits": 256, "ttl": "87600h"});
        self.write(&format!("{PKI_MOUNT}/root/rotate/internal"), &root).await?;
        self.write(&format!("{PKI_MOUNT}/root/replace"), &json!({"default": name})).await.map(drop)
    }

    /// The root that signs now, in PEM.
    pub async fn root(&self) -> Result<String> {
        let issuer = self.read(&format!("{PKI_MOUNT}/issuer/default/json")).await?;
        let certificate = issuer.pointer("/data/certificate").and_then(Value::as_str);
        Ok(certificate.context("the PKI has no root")?.to_owned())
    }

    async fn set_policy(&self, name: &str, may_ask: &[String]) -> Result<()> {
        let rule = |path| format!("path \"{path}\" {{ capabilities = [\"update\"] }}\n");
        let rules: String = may_ask.iter().map(rule).collect();
        self.write(&format!("sys/policies/acl/{name}"), &json!({"policy": rules})).await.map(drop)
    }
}
