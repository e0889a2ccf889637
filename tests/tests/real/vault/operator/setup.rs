//! What is printed, applied as it is.

use std::fs;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use signet::stage::openbao::{Role, VAULT_AUDIENCE, WORKLOAD_ROLE};
use signet::stage::trust_domain;
use signet_tests::alone;

use super::super::{HOUR, Scene};
use super::{Asked, keeps_secrets, may_look_as};

#[test]
fn what_is_printed_is_all_that_a_ca_needs() {
    alone(async |programs| {
        let scene = Scene::set().await?;
        for (login, access) in [
            ("jwt", scene.openbao.accept_jwt(&scene.stage, &scene.issuer, HOUR).await?),
            ("approle", scene.openbao.accept_approle(&scene.stage, HOUR).await?),
            ("cert", scene.openbao.accept_certificate(&scene.stage, HOUR).await?),
            ("token-file", scene.openbao.give_token(&scene.stage, HOUR).await?),
        ] {
            for (kind, issuer) in [
                ("vault", None),
                ("vault", Some("root-1")),
                ("vault-intermediate", None),
                ("vault-intermediate", Some("root-1")),
            ] {
                let ca = Asked::a_ca(
                    &scene,
                    programs,
                    kind,
                    issuer.map_or(access.clone(), |name| access.clone().with("issuer", name)),
                )?;
                ca.set_up(&scene)?;
                if login == "token-file" {
                    // As the comment that is printed says; a token has the policy's rules from now on only.
                    let policy = if kind == "vault" { "signet-ca" } else { "signet-ca-intermediate" };
                    let wanted = json!({"policies": [policy], "no_default_policy": true, "no_parent": true});
                    let given = scene.openbao.write("auth/token/create", &wanted).await?;
                    let token =
                        given.pointer("/auth/client_token").and_then(Value::as_str).context("no token")?;
                    scene.stage.write_private("vault-token", token)?;
                }
                let case = format!("{login} {kind} {issuer:?}");
                let said = ca
                    .check()?
                    .must(0, &["ok    login", "Vault signs for this configuration"])
                    .context(case.clone())?;
                ensure!(
                    !said.notes.contains("hint") && !said.notes.contains("FAULT"),
                    "{case}: {}",
                    said.notes
                );
                keeps_secrets(&scene, &said)?;
            }
        }
        Ok(())
    });
}

#[test]
fn a_login_method_that_is_not_there_is_made_and_one_that_is_stays_as_it_is() {
    alone(async |programs| {
        let scene = Scene::set().await?;
        let access = scene.openbao.accept_jwt(&scene.stage, &scene.issuer, HOUR).await?;
        let mut auth = access.section().get("auth").cloned().context("no auth")?;
        auth["mount"] = json!("mesh/jwt");
        let ca = Asked::a_ca(&scene, programs, "vault", access.with("auth", auth))?;
        ca.set_up(&scene)?;
        ca.check()?.must(0, &["ok    login: as configured, at auth/mesh/jwt"])?;

        let before = scene.openbao.read("auth/mesh/jwt/config").await?;
        ca.apply(&scene, &[("TOKEN_ISSUER", "https://another.example"), ("TOKEN_KEYS", "/nowhere")])?;
        let after = scene.openbao.read("auth/mesh/jwt/config").await?;
        ensure!(before.get("data") == after.get("data"), "{before} became {after}");
        Ok(())
    });
}

#[test]
fn one_way_to_sign_is_not_taken_from_another_unless_that_is_said() {
    alone(async |programs| {
        let scene = Scene::set().await?;
        let workloads =
            scene.openbao.accept_workloads(&scene.issuer, HOUR).await?.with("role", WORKLOAD_ROLE);
        let token = scene.issuer.mint_for(VAULT_AUDIENCE, "cart", HOUR)?;
        let file = scene.stage.write_private("cart", &token)?;
        let agent = Asked::an_agent(&scene, programs, workloads, &file)?;
        let access = scene.openbao.accept_jwt(&scene.stage, &scene.issuer, HOUR).await?;
        let leaves = Asked::a_ca(&scene, programs, "vault", access.clone())?;
        let by_issuer = Asked::a_ca(&scene, programs, "vault", access.clone().with("issuer", "root-1"))?;
        let intermediate = Asked::a_ca(&scene, programs, "vault-intermediate", access)?;
        let careful = [("SIGNET_REPLACE", "")];
        for (first, second, kept) in [
            (&agent, &leaves, "pki/roles/signet-workload is there already"),
            (&leaves, &agent, "pki/roles/signet-workload is there already"),
            (&leaves, &by_issuer, "policy signet-ca is there already"),
        ] {
            second.set_up(&scene)?;
            first.set_up(&scene)?;
            let before = first.check()?.must(0, &[])?;

            let refused = second.apply(&scene, &careful).err().context("it was replaced")?.to_string();

            ensure!(refused.contains(kept) && refused.contains("Nothing has been changed"), "{refused}");
            ensure!(first.check()?.must(0, &[])?.answer == before.answer, "it is not as it was");
            first.apply(&scene, &careful).context("a second time")?;
        }
        intermediate.apply(&scene, &careful)?;
        intermediate.check()?.must(0, &[]).context("beside the leaves")?;
        leaves.check()?.must(0, &[]).context("the leaves beside it")?;
        Ok(())
    });
}

#[test]
fn what_has_to_be_known_is_asked_for_before_anything_is_changed() {
    alone(async |programs| {
        let scene = Scene::set().await?;
        let workloads =
            scene.openbao.accept_workloads(&scene.issuer, HOUR).await?.with("role", WORKLOAD_ROLE);
        let mut auth = workloads.section().get("auth").cloned().context("no auth")?;
        auth["mount"] = json!("mesh/jwt");
        let token = scene.issuer.mint_for(VAULT_AUDIENCE, "cart", HOUR)?;
        let file = scene.stage.write_private("cart", &token)?;
        let agent = Asked::an_agent(&scene, programs, workloads.with("auth", auth), &file)?;
        let policy = scene.openbao.read("sys/policies/acl/signet-workload").await?;

        for (variables, told) in [
            (&[][..], "TOKEN_ISSUER"),
            (&[("TOKEN_ISSUER", scene.issuer.url()), ("TOKEN_KEYS", "/nowhere")][..], "/nowhere"),
        ] {
            let refused = agent.apply(&scene, variables).err().context("it went on")?.to_string();
            ensure!(refused.contains(told), "{refused}");
        }

        let now = scene.openbao.read("sys/policies/acl/signet-workload").await?;
        ensure!(now["data"] == policy["data"], "{policy} became {now}");
        // Left half-way by somebody else: mounted, and not configured.
        scene.openbao.write("sys/auth/mesh/jwt", &json!({"type": "jwt"})).await?;
        agent.set_up(&scene)?;
        agent.check()?.must(0, &["at auth/mesh/jwt"])?;
        Ok(())
    });
}

#[test]
fn a_token_out_of_a_file_is_not_given_back() {
    alone(async |programs| {
        let scene = Scene::set().await?;
        // With the policy `default`, which lets it revoke itself.
        let access = scene.openbao.give_token(&scene.stage, HOUR).await?;
        let ca = Asked::a_ca(&scene, programs, "vault", access)?;

        ca.check()?.must(0, &[])?;
        ca.check()?.must(0, &[])?;
        Ok(())
    });
}

#[test]
fn what_is_printed_lets_each_workload_be_itself_and_nobody_else() {
    alone(async |programs| {
        let scene = Scene::set().await?;
        let access = scene.openbao.accept_workloads(&scene.issuer, HOUR).await?.with("role", WORKLOAD_ROLE);
        let token = scene.issuer.mint_for(VAULT_AUDIENCE, "cart", HOUR)?;
        let file = scene.stage.write_private("cart", &token)?;
        let login = access.section().pointer("/auth/role").and_then(Value::as_str).context("no role")?;
        let login = format!("auth/jwt/role/{login}");
        let agent = Asked::an_agent(&scene, programs, access, &file)?;

        agent.set_up(&scene)?;
        let own = format!("signs spiffe://{}/ns/shop/sa/cart for", trust_domain()?);
        let said = agent.check()?.must(0, &[&own, "ok    another: role signet-workload refuses"])?;
        ensure!(!said.notes.contains("hint") && !said.notes.contains(&token), "{}", said.notes);

        let mut stored = scene.openbao.read(&login).await?["data"].take();
        stored["token_type"] = json!("service");
        scene.openbao.write(&login, &stored).await?;
        let kept = "hint  policy: the token's policies lack `update` on auth/token/revoke-self; add: path";
        agent.check()?.must(0, &[kept])?;

        scene.openbao.set_role(WORKLOAD_ROLE, &Role::for_any_workload()?).await?;
        agent.check()?.must(1, &["FAULT another: role signet-workload signs the identity of another"])?;
        may_look_as(&scene, "signet-workload").await?;
        agent.check()?.must(1, &["FAULT workload: role signet-workload: no template in allowed_uri_sans"])?;

        fs::write(&file, scene.issuer.mint("cart", HOUR)?)?;
        agent.check()?.must(1, &["the token is for `istio-ca`, the CA's audience"])?;
        Ok(())
    });
}
