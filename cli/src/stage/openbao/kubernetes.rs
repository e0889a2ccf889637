//! Logins by tokens that an API server reviews.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::login::{lasting, merge};
use super::pki::{CA_POLICY, OWN_IDENTITY_ROLE, WORKLOAD_POLICY};
use super::{OpenBao, VAULT_AUDIENCE, VaultAccess};
use crate::stage::kubernetes::API_AUDIENCE;
use crate::stage::{Kubernetes, ServiceAccount, Stage};

/// The service account of a CA.
pub const CA_ACCOUNT: ServiceAccount<'_> = ServiceAccount { namespace: "signet-system", name: "signet-ca" };

/// Whoever has tokens reviewed for a Vault outside of the cluster.
const REVIEWER: ServiceAccount<'_> = ServiceAccount { namespace: "vault", name: "reviewer" };

impl OpenBao {
    /// Logs CAs in by their service account's token, which stands in a file. What they get lives for `lease`, and can
    /// be stretched to four times that.
    pub async fn accept_service_account(
        &self,
        stage: &Stage,
        kubernetes: &Kubernetes,
        lease: Duration,
    ) -> Result<VaultAccess> {
        self.have_reviewed(stage, kubernetes).await?;
        kubernetes.create(CA_ACCOUNT).await?;
        let mut role = lasting(lease, CA_POLICY);
        merge(&mut role, bound_to(CA_ACCOUNT));
        self.write(&format!("auth/kubernetes/role/{}", CA_ACCOUNT.name), &role).await?;
        let token = kubernetes.token(stage, CA_ACCOUNT, VAULT_AUDIENCE).await?;
        let jwt_file = stage.write_private("vault-jwt", &token)?;
        Ok(self.access(json!({"method": "kubernetes", "role": CA_ACCOUNT.name, "jwt_file": jwt_file})))
    }

    /// Logs workloads in by their own tokens, and has the PKI sign for each its own identity and no other.
    pub async fn accept_service_accounts(
        &self,
        stage: &Stage,
        kubernetes: &Kubernetes,
        lease: Duration,
    ) -> Result<VaultAccess> {
        self.have_reviewed(stage, kubernetes).await?;
        let mut role = lasting(lease, WORKLOAD_POLICY);
        merge(&mut role, bound_to(ServiceAccount { namespace: "*", name: "*" }));
        self.write(&format!("auth/kubernetes/role/{OWN_IDENTITY_ROLE}"), &role).await?;
        self.tie_identities("kubernetes", ["service_account_namespace", "service_account_name"]).await?;
        let access = self.access(json!({"method": "kubernetes", "role": OWN_IDENTITY_ROLE}));
        Ok(access.with("role", OWN_IDENTITY_ROLE))
    }

    /// A token for the API server, of whoever may have others' reviewed there.
    pub async fn reviewer(&self, stage: &Stage, kubernetes: &Kubernetes) -> Result<String> {
        kubernetes.create(REVIEWER).await?;
        kubernetes.let_review(REVIEWER).await?;
        kubernetes.token(stage, REVIEWER, API_AUDIENCE).await
    }

    async fn have_reviewed(&self, stage: &Stage, kubernetes: &Kubernetes) -> Result<()> {
        self.enable("kubernetes").await?;
        let config = json!({
            "kubernetes_host": kubernetes.url(),
            "kubernetes_ca_cert": fs::read_to_string(kubernetes.authority())?,
            "token_reviewer_jwt": self.reviewer(stage, kubernetes).await?,
            "disable_local_ca_jwt": true,
        });
        self.write("auth/kubernetes/config", &config).await.map(drop)
    }
}

fn bound_to(account: ServiceAccount<'_>) -> Value {
    json!({
        "bound_service_account_names": [account.name],
        "bound_service_account_namespaces": [account.namespace],
        "audience": VAULT_AUDIENCE,
    })
}
