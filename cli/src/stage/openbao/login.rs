//! How others log in: for each method, what it takes at the server and what its users are configured with.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::OpenBao;
use super::pki::{
    CA_POLICY, OWN_IDENTITY_ROLE, PKI_MOUNT, Role, SERVING_ROLE, WORKLOAD_POLICY, WORKLOAD_ROLE,
};
use crate::stage::secret::Secret;
use crate::stage::{Stage, TokenIssuer, trust_domain};

/// `aud` of the tokens that are meant for it. A CA takes others.
pub const VAULT_AUDIENCE: &str = "vault";

/// `[vault]` in the configuration of a process that signs by the PKI.
#[derive(Debug, Clone)]
pub struct VaultAccess(Value);

impl VaultAccess {
    /// The section.
    pub fn section(&self) -> &Value {
        &self.0
    }

    /// Where the token stands, if it is given in a file.
    pub fn token_file(&self) -> Result<&Path> {
        let file = self.0.pointer("/auth/token_file").and_then(Value::as_str);
        file.map(Path::new).context("the token is not in a file")
    }

    /// The same, by way of this port of 127.0.0.1, which speaks plain HTTP.
    #[must_use]
    pub fn by_way_of(self, port: u16) -> Self {
        self.with("address", json!([format!("http://127.0.0.1:{port}")]))
    }

    /// The same, with this set to something else.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        if let Value::Object(section) = &mut self.0 {
            section.insert(key.to_owned(), value.into());
        }
        self
    }
}

impl OpenBao {
    /// Logs CAs in by a service account's token, which stands in a file and lives as long as any test. What they get
    /// lives for `lease`, and can be stretched to four times that.
    pub async fn accept_jwt(
        &self,
        stage: &Stage,
        issuer: &TokenIssuer,
        lease: Duration,
    ) -> Result<VaultAccess> {
        self.set_up_jwt(issuer).await?;
        let mut role = lasting(lease, CA_POLICY);
        merge(&mut role, jwt_role());
        merge(&mut role, json!({"bound_subject": issuer.subject(CA_ACCOUNT)}));
        self.write(&format!("auth/jwt/role/{CA_ACCOUNT}"), &role).await?;
        let token = issuer.mint_for(VAULT_AUDIENCE, CA_ACCOUNT, LONG)?;
        let jwt_file = stage.write_private("vault-jwt", &token)?;
        Ok(self.access(json!({"method": "jwt", "role": CA_ACCOUNT, "jwt_file": jwt_file})))
    }

    /// Logs workloads in by their own tokens, and has the PKI sign for each its own identity and no other.
    pub async fn accept_workloads(&self, issuer: &TokenIssuer, lease: Duration) -> Result<VaultAccess> {
        self.set_up_jwt(issuer).await?;
        let mut role = lasting(lease, WORKLOAD_POLICY);
        merge(&mut role, jwt_role());
        merge(
            &mut role,
            json!({"claim_mappings": {
                "/kubernetes.io/namespace": "namespace",
                "/kubernetes.io/serviceaccount/name": "service_account",
            }}),
        );
        self.write(&format!("auth/jwt/role/{OWN_IDENTITY_ROLE}"), &role).await?;
        self.tie_identities("jwt", ["namespace", "service_account"]).await?;
        let access = self.access(json!({"method": "jwt", "role": OWN_IDENTITY_ROLE}));
        Ok(access.with("role", OWN_IDENTITY_ROLE))
    }

    /// Logs CAs in by a role id and a secret id.
    pub async fn accept_approle(&self, stage: &Stage, lease: Duration) -> Result<VaultAccess> {
        self.enable("approle").await?;
        let role = format!("auth/approle/role/{CA_ACCOUNT}");
        self.write(&role, &lasting(lease, CA_POLICY)).await?;
        let role_id = self.read(&format!("{role}/role-id")).await?;
        let secret_id = self.write(&format!("{role}/secret-id"), &json!({})).await?;
        let [role_id, secret_id] =
            [(role_id, "/data/role_id"), (secret_id, "/data/secret_id")].map(|(answer, pointer)| {
                answer.pointer(pointer).and_then(Value::as_str).map(Secret::new).context(pointer)
            });
        let role_id_file = stage.write("vault-role-id", role_id?.expose())?;
        let secret_id = secret_id?;
        stage.secrets().add(secret_id.expose());
        let secret_id_file = stage.write_private("vault-secret-id", secret_id.expose())?;
        let auth =
            json!({"method": "approle", "role_id_file": role_id_file, "secret_id_file": secret_id_file});
        Ok(self.access(auth))
    }

    /// Logs CAs in by the certificate that they show.
    pub async fn accept_certificate(&self, stage: &Stage, lease: Duration) -> Result<VaultAccess> {
        self.enable("cert").await?;
        let pair = self.tls.issue(stage, "signet-ca-at-vault")?;
        let mut role = lasting(lease, CA_POLICY);
        let authority = std::fs::read_to_string(self.authority())?;
        merge(&mut role, json!({"certificate": authority, "allowed_common_names": ["signet-ca-at-vault"]}));
        self.write(&format!("auth/cert/certs/{CA_ACCOUNT}"), &role).await?;
        let access = self.access(json!({"method": "cert", "role": CA_ACCOUNT}));
        Ok(access
            .with("client_certificate_file", path(&pair.certificate)?)
            .with("client_key_file", path(&pair.key)?))
    }

    /// Gives CAs a token in a file.
    pub async fn give_token(&self, stage: &Stage, lease: Duration) -> Result<VaultAccess> {
        let wanted = json!({"policies": [CA_POLICY], "ttl": seconds(lease), "no_parent": true});
        let given = self.write("auth/token/create", &wanted).await?;
        let token = given.pointer("/auth/client_token").and_then(Value::as_str).context("no token")?;
        let token_file = stage.write_private("vault-token", token)?;
        Ok(self.access(json!({"method": "token-file", "token_file": token_file})))
    }

    /// Has the role for workloads sign for whoever has logged in by this method the identity of the service account
    /// that these metadata of the login name.
    pub(super) async fn tie_identities(
        &self,
        method: &str,
        [namespace, service_account]: [&str; 2],
    ) -> Result<()> {
        let methods = self.read("sys/auth").await?;
        let accessor = methods.pointer(&format!("/data/{method}~1/accessor")).and_then(Value::as_str);
        let metadata =
            format!("identity.entity.aliases.{}.metadata", accessor.context("the method has no accessor")?);
        let own_identity = format!(
            "spiffe://{}/ns/{{{{{metadata}.{namespace}}}}}/sa/{{{{{metadata}.{service_account}}}}}",
            trust_domain()?
        );
        let role = Role::for_uris(&own_identity).with("allowed_uri_sans_template", true);
        self.set_role(OWN_IDENTITY_ROLE, &role).await
    }

    pub(super) fn access(&self, auth: Value) -> VaultAccess {
        VaultAccess(json!({
            "address": [self.url()],
            "ca_file": self.authority(),
            "mount": PKI_MOUNT,
            "role": WORKLOAD_ROLE,
            "serving_role": SERVING_ROLE,
            "auth": auth,
        }))
    }

    /// The method that verifies tokens by the issuer's key, without asking anybody.
    async fn set_up_jwt(&self, issuer: &TokenIssuer) -> Result<()> {
        self.enable("jwt").await?;
        let config =
            json!({"jwt_validation_pubkeys": [issuer.public_key_pem()], "bound_issuer": issuer.url()});
        self.write("auth/jwt/config", &config).await.map(drop)
    }

    pub(super) async fn enable(&self, method: &str) -> Result<()> {
        let enabled = self.read("sys/auth").await?;
        if enabled.get(format!("{method}/")).is_none() {
            self.write(&format!("sys/auth/{method}"), &json!({"type": method})).await?;
        }
        Ok(())
    }
}

/// A role that gives tokens of this life. A service token is stored, so that it can be revoked.
pub(super) fn lasting(lease: Duration, policy: &str) -> Value {
    json!({
        "token_policies": [policy],
        "token_type": "service",
        "token_ttl": seconds(lease),
        "token_max_ttl": seconds(4 * lease),
    })
}

/// A token counts as long as it says itself: without leeway, as the CA takes it on a stage.
fn jwt_role() -> Value {
    json!({
        "role_type": "jwt",
        "bound_audiences": [VAULT_AUDIENCE],
        "user_claim": "sub",
        "expiration_leeway": -1,
        "not_before_leeway": -1,
        "clock_skew_leeway": -1,
    })
}

/// Sets what `more` has, in place of what was there.
pub(in crate::stage) fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

fn seconds(lease: Duration) -> String {
    format!("{}s", lease.as_secs())
}

fn path(path: &std::path::Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

/// The service account of the CA.
const CA_ACCOUNT: &str = "signet-ca";
/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);
