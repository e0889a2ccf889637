//! One thing after another is wrong.

use std::net::TcpListener;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signet::stage::openbao::{PKI_MOUNT, Role, SERVING_ROLE, VaultAccess, WORKLOAD_ROLE};
use signet_tests::alone;
use signet_tests::command::Said;

use super::super::{HOUR, Scene};
use super::{Asked, keeps_secrets, may_look};

/// What is wrong with the configuration, or with where it leads to.
#[test]
fn a_check_says_what_is_wrong_on_the_way_to_vault() {
    alone(async |programs| {
        let scene = Scene::set().await?;
        let good = scene.openbao.accept_jwt(&scene.stage, &scene.issuer, HOUR).await?;
        Asked::a_ca(&scene, programs, "vault", good.clone())?.set_up(&scene)?;
        scene.stage.write("another.pem", &scene.openbao.root().await?)?;
        for (case, key, value, told) in wrong_ways(&scene, &good)? {
            let code = if told.starts_with("hint") { 0 } else { 1 };
            let said = Asked::a_ca(&scene, programs, "vault", good.clone().with(key, value))?.check()?;
            must_say(&said, told).context(case)?;
            keeps_secrets(&scene, &said.must(code, &[]).context(case)?)?;
        }
        let silent = TcpListener::bind("127.0.0.1:0")?;
        let access = good.clone().by_way_of(silent.local_addr()?.port()).with("timeout", "500ms");
        let said = Asked::a_ca(&scene, programs, "vault", access)?.check()?;
        must_say(&said, "FAULT reach: Vault at http://127.0.0.1:")
            .and(must_say(&said, "FAULT did not answer within 500ms"))?;
        scene.openbao.seal().await?;
        Asked::a_ca(&scene, programs, "vault", good.clone())?.check()?.must(1, &["(version", "is sealed"])?;
        scene.openbao.unseal().await?;
        Asked::a_ca(&scene, programs, "local", good)?.check()?.must(0, &["signs spiffe://"])?;
        Ok(())
    });
}

/// A key of `[vault]` that is set to something else, and what is told then.
fn wrong_ways(
    scene: &Scene,
    good: &VaultAccess,
) -> Result<Vec<(&'static str, &'static str, Value, &'static str)>> {
    let closed = format!("https://127.0.0.1:{}", scene.stage.free_port()?);
    let two = json!([closed, scene.openbao.url()]);
    let auth = |key: &str, value: Value| -> Result<Value> {
        let mut auth = good.section().get("auth").cloned().context("no auth")?;
        auth[key] = value;
        Ok(auth)
    };
    let token = scene.issuer.mint_for("another", "signet-ca", HOUR)?;
    let token = json!(scene.stage.write_private("another-jwt", &token)?);
    Ok(vec![
        ("nobody is there", "address", json!([closed]), "FAULT reach: cannot reach Vault at"),
        ("one of two is there", "address", two, "hint reach: cannot reach Vault at"),
        (
            "another authority",
            "ca_file",
            json!(scene.stage.directory().join("another.pem")),
            "FAULT is not trusted",
        ),
        (
            "no authority",
            "ca_file",
            json!("/nowhere.pem"),
            "FAULT files: vault.ca_file: cannot read /nowhere.pem",
        ),
        (
            "another namespace",
            "namespace",
            json!("nobody"),
            "FAULT login: auth/jwt refuses the login: there is no such path",
        ),
        (
            "no login method",
            "auth",
            auth("mount", json!("nowhere"))?,
            "FAULT auth/nowhere refuses the login: permission denied; a `jwt` method must be mounted there",
        ),
        ("no login role", "auth", auth("role", json!("nobody"))?, "FAULT role \"nobody\" could not be found"),
        (
            "a token for others",
            "auth",
            auth("jwt_file", token)?,
            "FAULT its role signet-ca must bind the audience and the subject of the token",
        ),
        ("no PKI", "mount", json!("nowhere"), "FAULT issuer: no PKI is mounted at nowhere"),
        ("no such issuer", "issuer", json!("nobody"), "FAULT issuer: pki has no issuer nobody"),
        (
            "not allowed",
            "role",
            json!("nobody"),
            "FAULT policies lack `update` on pki/sign/nobody; add: path \"pki/",
        ),
    ])
}

/// Once for a token that may do no more than sign, where only the attempt tells; once for one that may read roles.
#[test]
fn a_check_says_what_is_wrong_with_a_role() {
    alone(async |programs| {
        let scene = Scene::set().await?;
        let access = scene.openbao.accept_jwt(&scene.stage, &scene.issuer, HOUR).await?;
        let ca = Asked::a_ca(&scene, programs, "vault", access)?;
        let root_2 = json!({"issuer_name": "root-2", "common_name": "root 2", "key_type": "ec"});
        scene.openbao.write(&format!("{PKI_MOUNT}/root/generate/internal"), &root_2).await?;
        for Broken { role, key, value, attempted, read } in
            roles_that_refuse().into_iter().chain(roles_that_sign_something_else())
        {
            ca.set_up(&scene)?;
            let settings = match role {
                SERVING_ROLE => Role::for_the_ca()?.with("allow_localhost", false),
                _ => Role::for_any_workload()?,
            };
            scene.openbao.set_role(role, &settings.with(key, value.clone())).await?;
            let code = if read.starts_with("FAULT") { 1 } else { 0 };

            let by_attempt = ca.check()?.must(code, &[]).with_context(|| format!("{key}={value}"))?;
            must_say(&by_attempt, attempted).with_context(|| format!("{key}={value}, by the attempt"))?;

            may_look(&scene).await?;
            let by_role = ca.check()?.must(code, &[]).with_context(|| format!("{key}={value}"))?;
            must_say(&by_role, read).with_context(|| format!("{key}={value}, by the role"))?;
        }
        Ok(())
    });
}

/// A role that is as it should be but for one setting.
struct Broken {
    role: &'static str,
    key: &'static str,
    value: Value,
    /// The mark and the text of a finding, of the attempt and of the role: `FAULT set require_cn=false`.
    attempted: &'static str,
    read: &'static str,
}

fn workload(key: &'static str, value: Value, attempted: &'static str, read: &'static str) -> Broken {
    Broken { role: WORKLOAD_ROLE, key, value, attempted, read }
}

/// What keeps a certificate from being signed as it is asked for.
fn roles_that_refuse() -> Vec<Broken> {
    vec![
        workload(
            "key_type",
            json!("ed25519"),
            "FAULT set key_type=any, or ec",
            "FAULT key_type=ed25519 (want any",
        ),
        workload("key_bits", json!(384), "FAULT lower key_bits", "FAULT key_bits=384 (want 256, or 0)"),
        workload(
            "require_cn",
            json!(true),
            "FAULT set require_cn=false",
            "FAULT require_cn=true (want false)",
        ),
        workload(
            "use_csr_sans",
            json!(true),
            "FAULT set use_csr_sans=false",
            "FAULT use_csr_sans=true (want false)",
        ),
        workload(
            "allowed_uri_sans",
            json!("spiffe://another.example/*"),
            "FAULT its allowed_uri_sans do not admit the SPIFFE ID",
            "FAULT does not admit the SPIFFE ID spiffe://",
        ),
        workload(
            "max_ttl",
            json!("30m"),
            "FAULT asked for 1h (issuing.max_lifetime), it signs for 30m",
            "FAULT max_ttl=30m, below issuing.max_lifetime (1h)",
        ),
        Broken {
            role: SERVING_ROLE,
            key: "allowed_domains",
            value: json!("a.example"),
            attempted: "FAULT its allowed_domains do not admit",
            read: "FAULT its allowed_domains do not admit",
        },
    ]
}

/// What is signed, and is useless or could be better.
fn roles_that_sign_something_else() -> Vec<Broken> {
    vec![
        workload(
            "server_flag",
            json!(false),
            "FAULT lacks serverAuth or clientAuth (X-17)",
            "FAULT server_flag or",
        ),
        workload(
            "client_flag",
            json!(false),
            "FAULT lacks serverAuth or clientAuth (X-17)",
            "FAULT server_flag or",
        ),
        workload(
            "issuer_ref",
            json!("root-2"),
            "FAULT it signs by another issuer than",
            "FAULT it signs by another issuer than",
        ),
        workload(
            "key_usage",
            json!(["DigitalSignature", "KeyAgreement"]),
            "hint its keyUsage allows more than digitalSignature",
            "hint key_usage is not DigitalSignature alone",
        ),
        workload(
            "key_usage",
            json!(["KeyAgreement"]),
            "FAULT does not allow digitalSignature (X-15)",
            "FAULT does not allow digitalSignature (X-15)",
        ),
        workload(
            "basic_constraints_valid_for_non_ca",
            json!(false),
            "hint it has no basicConstraints CA:FALSE",
            "hint basic_constraints_valid_for_non_ca=false",
        ),
        // What is stored cannot be seen from outside.
        workload(
            "no_store",
            json!(false),
            "ok role signet-workload signs",
            "hint no_store=false (better true)",
        ),
    ]
}

/// One finding has this mark and this text.
pub(super) fn must_say(said: &Said, wanted: &str) -> Result<()> {
    let (mark, text) = wanted.split_once(' ').context("a mark and a text")?;
    let mark = format!("signet-ca: {mark} ");
    let found = said.notes.lines().any(|line| line.starts_with(&mark) && line.contains(text));
    ensure!(found, "no {wanted:?} in {}", said.notes);
    Ok(())
}

#[test]
fn a_check_says_what_is_wrong_with_policies_and_mounts() {
    alone(async |programs| {
        let scene = Scene::set().await?;
        let access = scene.openbao.accept_jwt(&scene.stage, &scene.issuer, HOUR).await?;
        let leaves = Asked::a_ca(&scene, programs, "vault", access.clone())?;
        let by_name = Asked::a_ca(&scene, programs, "vault", access.clone().with("issuer", "root-1"))?;
        let intermediate = Asked::a_ca(&scene, programs, "vault-intermediate", access.clone())?;

        leaves.set_up(&scene)?;
        by_name.check()?.must(1, &["add: path \"pki/issuer/+/sign/signet-workload\" {"])?;
        intermediate.check()?.must(1, &["add: path \"pki/issuer/default/sign-intermediate\" {"])?;
        may_look(&scene).await?;
        let lacks = "FAULT policy: the token's policies lack `update` on pki/issuer/";
        by_name.check()?.must(1, &[lacks, "add: path \"pki/issuer/+/sign/signet-ca\" {"])?;

        let nobody = Asked::a_ca(&scene, programs, "vault", access.with("role", "nobody"))?;
        let any_role = json!({"policy": "path \"pki/sign/+\" { capabilities = [\"update\"] }"});
        scene.openbao.write("sys/policies/acl/signet-ca", &any_role).await?;
        must_say(&nobody.check()?, "FAULT role nobody: is not there: create it")?;
        may_look(&scene).await?;
        must_say(&nobody.check()?, "FAULT role nobody is not there: create it")?;

        intermediate.set_up(&scene)?;
        scene.openbao.write("sys/mounts/pki/tune", &json!({"max_lease_ttl": "24h"})).await?;
        intermediate.check()?.must(
            0,
            &["hint  intermediate: asked for 30d (vault.intermediate_lifetime), Vault signs for 1d"],
        )?;
        Ok(())
    });
}

#[test]
fn a_check_that_has_used_up_a_secret_id_says_so() {
    alone(async |programs| {
        let scene = Scene::set().await?;
        let access = scene.openbao.accept_approle(&scene.stage, HOUR).await?;
        let ca = Asked::a_ca(&scene, programs, "vault", access)?;
        ca.set_up(&scene)?;
        let role = "auth/approle/role/signet-ca";
        scene.openbao.write(role, &json!({"secret_id_num_uses": 1})).await?;
        let made = scene.openbao.write(&format!("{role}/secret-id"), &json!({})).await?;
        let secret_id = made.pointer("/data/secret_id").and_then(Value::as_str).context("no secret id")?;
        scene.stage.write_private("vault-secret-id", secret_id)?;

        ca.check()?
            .must(0, &["ok    login: as configured, at auth/approle; that was a use of the secret id"])?;
        ca.check()?.must(1, &["FAULT login: auth/approle refuses the login: invalid role or secret ID"])?;
        Ok(())
    });
}
