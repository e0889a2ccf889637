//! `signet proxy secrets` before real Envoys: one that has what it needs, and one that was given what it rejects.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signet::stage::envoy::{Envoy, SdsVariant};
use signet::stage::{Ca, CaSettings, Mesh, Plan, Programs, Stage, TokenIssuer, TokenPath, poll};
use signet_identity::PrivateKey;
use signet_tests::alone;
use signet_tests::command::{Said, text};
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(30);

#[test]
fn an_envoy_of_a_mesh_serves_all_that_it_was_given_by_either_variant() {
    alone(async |programs| {
        for variant in [SdsVariant::StateOfTheWorld, SdsVariant::Delta] {
            let plan = Plan {
                leaf_lifetime: Duration::from_secs(600),
                token_lifetime: Duration::from_secs(600),
                new_token_every: None,
                frontend_token: TokenPath::Volume,
                variant,
            };
            let mesh = Mesh::raise(programs, &plan).await?;
            let said = ask(programs, mesh.server.admin().port(), &[])?;
            said.must(
                0,
                &["default", "ROOTCA", mesh.workloads.orders.identity().as_str(), "The next to expire"],
            )?;
            let answer =
                ask(programs, mesh.client.admin().port(), &["--output", "json"])?.must(0, &[])?.json()?;
            let secrets = answer["secrets"].as_array().context("no secrets")?;
            // Both workloads of the client have both, and the tokens are injected by SDS from files.
            let served = secrets.iter().filter(|secret| secret["standing"] == "served").count();
            ensure!(served == 4, "{answer}");
            ensure!(!answer.to_string().contains("PRIVATE KEY"), "{answer}");
        }
        Ok(())
    });
}

#[test]
fn a_secret_that_was_rejected_and_one_that_never_came_are_told() {
    alone(async |programs| {
        let stage = Stage::set()?;
        let (certificate, mine) = an_svid(&stage, programs).await?;
        let other = PrivateKey::generate()?;
        let push = |key: &PrivateKey, version: &str| -> Result<()> {
            let new = stage.write("new.json", &pushed(&certificate, key, version))?;
            Ok(fs::rename(new, stage.directory().join("default.json"))?)
        };
        push(&mine, "good")?;
        let envoy = Envoy::start(&stage, programs, "envoy", |admin| bootstrap(&stage, admin))?;
        let admin = envoy.admin().port();
        until(programs, admin, &["default: served", "never: waited for"]).await?;

        push(&other, "bad")?;
        until(programs, admin, &["default: rejected", "bad, where good was the last that was accepted"])
            .await?;
        let said = ask(programs, admin, &["--output", "json"])?.must(1, &[])?.json()?;
        ensure!(
            said["secrets"][0]["standing"] == "rejected" && said["secrets"][1]["standing"] == "warming",
            "{said}"
        );

        push(&mine, "good again")?;
        until(programs, admin, &["default: served", "never: waited for"]).await
    });
}

#[test]
fn what_is_no_envoy_is_told_with_the_remedy() {
    alone(async |programs| {
        let stage = Stage::set()?;
        let application = signet::stage::Application::start().await?;
        ask(programs, stage.free_port()?, &[])?.must(3, &["no Envoy at", "--admin", "15000"])?;
        // It answers while the command runs, which is a process of its own.
        let port = application.port().to_string();
        let said = tokio::process::Command::new(programs.signet()?)
            .args(["proxy", "secrets", "--admin", &format!("127.0.0.1:{port}")])
            .output()
            .await?;
        Said::of(said)?.must(3, &["no Envoy", "--admin"]).map(drop)
    });
}

/// As the command itself gets one.
async fn an_svid(stage: &Stage, programs: &Programs) -> Result<(String, PrivateKey)> {
    let issuer = TokenIssuer::new(stage)?;
    let mut ca = Ca::start(stage, programs, &CaSettings::new(20 * SOON, &issuer))?;
    ca.daemon().ready(2 * SOON).await?;
    let (address, anchors) = (format!("localhost:{}", ca.grpc()), ca.anchors());
    let token = stage.write("token", &issuer.mint("orders", SOON)?)?;
    let (chain, key) = (stage.directory().join("chain.pem"), stage.directory().join("key.pem"));
    let files = ["--cert-file", text(&chain)?, "--key-file", text(&key)?];
    let ca = ["request", "--ca", &address, "--anchors", text(&anchors)?, "--token-file", text(&token)?];
    Said::by(programs, &[&ca[..], &files].concat())?.must(0, &[])?;
    Ok((fs::read_to_string(chain)?, PrivateKey::from_pkcs8_pem(&fs::read_to_string(key)?)?))
}

fn ask(programs: &Programs, admin: u16, more: &[&str]) -> Result<Said> {
    let admin = format!("http://127.0.0.1:{admin}");
    Said::by(programs, &[&["proxy", "secrets", "--admin", &admin], more].concat())
}

/// Until it says all of this; it watches the file in its own time.
async fn until(programs: &Programs, admin: u16, parts: &[&str]) -> Result<()> {
    let mut last = None;
    let look = async || {
        last = ask(programs, admin, &[]).ok();
        parts.iter().all(|part| last.as_ref().is_some_and(|said| said.answer.contains(part))).then_some(())
    };
    let seen = poll::until(Instant::now() + SOON, 5 * poll::PACE, look).await;
    seen.with_context(|| format!("no {parts:?} in {last:?}"))
}

fn pushed(certificate: &str, key: &PrivateKey, version: &str) -> String {
    let secret = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": "default",
        "tls_certificate": {
            "certificate_chain": {"inline_string": certificate},
            "private_key": {"inline_string": key.to_pkcs8_pem().as_str()},
        },
    });
    json!({"version_info": version, "resources": [secret]}).to_string()
}

/// One listener whose secret stands in a file, and one that waits for an agent that is not there.
fn bootstrap(stage: &Stage, admin: u16) -> Value {
    let directory = stage.directory();
    let file = json!({
        "resource_api_version": "V3",
        "path_config_source": {"path": directory.join("default.json"), "watched_directory": {"path": directory}},
    });
    let agent = json!({
        "resource_api_version": "V3",
        "initial_fetch_timeout": "0s",
        "api_config_source": {
            "api_type": "GRPC",
            "transport_api_version": "V3",
            "grpc_services": [{"envoy_grpc": {"cluster_name": "nobody"}}],
        },
    });
    let options = json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    });
    let absent = directory.join("absent.sock");
    let nobody = json!({
        "name": "nobody",
        "type": "STATIC",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
        "load_assignment": {
            "cluster_name": "nobody",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": absent}}}}]}],
        },
    });
    json!({
        "node": {"id": "rejecting", "cluster": "signet"},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
        "static_resources": {
            "listeners": [listener("default", &file), listener("never", &agent)],
            "clusters": [nobody],
        },
    })
}

fn listener(secret: &str, source: &Value) -> Value {
    let context = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": secret, "sds_config": source}]},
    });
    let proxy = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": secret,
        "cluster": "nobody",
    });
    json!({
        "name": secret,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{
            "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
            "filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}],
        }],
    })
}
