//! Logins that a real API server reviews.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signet::stage::openbao::{CA_ACCOUNT, VAULT_AUDIENCE, VaultAccess, WORKLOAD_ROLE};
use signet::stage::{ServiceAccount, trust_domain};
use signet_tests::alone;

use super::super::kubernetes::{Cluster, cluster};
use super::super::{HOUR, Scene};
use super::check::must_say;
use super::{Asked, keeps_secrets};

const CART: ServiceAccount<'_> = ServiceAccount { namespace: "shop", name: "cart" };

#[test]
fn what_is_printed_is_all_that_a_login_by_kubernetes_needs() {
    alone(async |programs| {
        let (cluster, scene) = (cluster().await?, Scene::set().await?);
        let Cluster { kubernetes, .. } = &*cluster;
        let access = scene.openbao.accept_service_account(&scene.stage, kubernetes, HOUR).await?;
        let access = with_auth(&access, "mount", json!("mesh/kubernetes"))?;
        for kind in ["vault", "vault-intermediate"] {
            let ca = Asked::a_ca(&scene, programs, kind, access.clone())?;
            set_up(&ca, &scene, &cluster).await?;
            let said = ca.check()?.must(0, &["ok    login: as configured, at auth/mesh/kubernetes"])?;
            ensure!(!said.notes.contains("hint") && !said.notes.contains("FAULT"), "{kind}: {}", said.notes);
            keeps_secrets(&scene, &said)?;
        }
        let role = scene.openbao.read("auth/mesh/kubernetes/role/signet-ca").await?;
        let bound = |key| role.pointer(&format!("/data/bound_service_account_{key}")).cloned();
        ensure!(
            bound("names") == Some(json!([CA_ACCOUNT.name]))
                && bound("namespaces") == Some(json!([CA_ACCOUNT.namespace])),
            "for others too: {role}"
        );

        let access = scene.openbao.accept_service_accounts(&scene.stage, kubernetes, HOUR).await?;
        let access = with_auth(&access, "mount", json!("mesh/kubernetes"))?.with("role", WORKLOAD_ROLE);
        kubernetes.create(CART).await?;
        let token = kubernetes.token(&scene.stage, CART, VAULT_AUDIENCE).await?;
        let agent = Asked::an_agent(&scene, programs, access, &scene.stage.write_private("cart", &token)?)?;
        set_up(&agent, &scene, &cluster).await?;
        let own = format!("signs spiffe://{}/ns/shop/sa/cart for", trust_domain()?);
        let said = agent.check()?.must(0, &[&own, "ok    another: role signet-workload refuses"])?;
        ensure!(!said.notes.contains("hint") && !said.notes.contains(&token), "{}", said.notes);
        Ok(())
    });
}

#[test]
fn a_check_says_what_is_wrong_with_a_login_by_kubernetes() {
    alone(async |programs| {
        let (cluster, scene) = (cluster().await?, Scene::set().await?);
        let Cluster { kubernetes, .. } = &*cluster;
        let access = scene.openbao.accept_service_account(&scene.stage, kubernetes, HOUR).await?;
        let ca = Asked::a_ca(&scene, programs, "vault", access.clone())?;
        let elsewhere = ServiceAccount { namespace: "elsewhere", name: CA_ACCOUNT.name };
        let another = ServiceAccount { namespace: CA_ACCOUNT.namespace, name: "another" };
        for (told, account, audience) in [
            ("service account name not authorized; a role signet-ca must", another, VAULT_AUDIENCE),
            ("namespace not authorized; a role signet-ca must", elsewhere, VAULT_AUDIENCE),
            ("invalid audience (aud) claim", CA_ACCOUNT, "another"),
        ] {
            kubernetes.create(account).await?;
            let token = kubernetes.token(&scene.stage, account, audience).await?;
            let file = scene.stage.write_private("another-jwt", &token)?;
            let access = with_auth(&access, "jwt_file", json!(file))?;
            let said = Asked::a_ca(&scene, programs, "vault", access)?.check()?.must(1, &[])?;
            must_say(&said, &format!("FAULT auth/kubernetes refuses the login: {told}")).context(told)?;
        }
        let nobody = Asked::a_ca(&scene, programs, "vault", with_auth(&access, "role", json!("nobody"))?)?;
        must_say(&nobody.check()?, "FAULT invalid role name \"nobody\"; a role nobody must be there")?;

        // As whoever logs in, who may not ask the API server anything: his token is for Vault.
        let own = scene.openbao.read("auth/kubernetes/config").await?["data"].take();
        let config = json!({
            "kubernetes_host": own["kubernetes_host"],
            "kubernetes_ca_cert": own["kubernetes_ca_cert"],
            "disable_local_ca_jwt": true,
        });
        scene.openbao.write("auth/kubernetes/config", &config).await?;
        must_say(&ca.check()?.must(1, &[])?, "FAULT somebody who may create tokenreviews")
    });
}

/// Has the shell run what is printed, for a Vault outside of the cluster.
async fn set_up(asked: &Asked, scene: &Scene, cluster: &Cluster) -> Result<()> {
    let reviewer = scene.openbao.reviewer(&scene.stage, &cluster.kubernetes).await?;
    // A file as people make them.
    let file = scene.stage.write_private("reviewer", &format!("{reviewer}\n"))?;
    let [authority, reviewer] =
        [cluster.kubernetes.authority(), &file].map(|path| path.to_str().context("a path that is no text"));
    asked.apply(
        scene,
        &[
            ("KUBERNETES_HOST", &cluster.kubernetes.url()),
            ("KUBERNETES_CA", authority?),
            ("KUBERNETES_REVIEWER", reviewer?),
        ],
    )
}

/// The same with this of `[vault.auth]` set to something else.
fn with_auth(access: &VaultAccess, key: &str, value: Value) -> Result<VaultAccess> {
    let mut auth = access.section().get("auth").cloned().context("no auth")?;
    auth[key] = value;
    Ok(access.clone().with("auth", auth))
}
