//! Who may call whom, by every way that a token and a certificate can take.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use signet::stage::envoy::SdsVariant;
use signet::stage::{Mesh, Plan, Programs, TokenPath, http};
use signet_tests::{alone, openssl};

#[test]
fn state_of_the_world_with_a_token_from_a_file() {
    alone(async |programs| who_may_call(programs, SdsVariant::StateOfTheWorld, TokenPath::Volume).await);
}

#[test]
fn state_of_the_world_with_a_token_from_the_configuration() {
    alone(async |programs| {
        who_may_call(programs, SdsVariant::StateOfTheWorld, TokenPath::StaticHeader).await
    });
}

#[test]
fn delta_with_a_token_from_a_file() {
    alone(async |programs| who_may_call(programs, SdsVariant::Delta, TokenPath::Volume).await);
}

#[test]
fn delta_with_a_token_from_the_configuration() {
    alone(async |programs| who_may_call(programs, SdsVariant::Delta, TokenPath::StaticHeader).await);
}

/// gRPC's own client in Envoy, as Istio 1.1 configured it: it sends the path of the socket as `:authority`.
#[test]
fn google_grpc_with_the_header_of_istio() {
    let token = TokenPath::GoogleGrpc("istio_sds_credentials_header-bin");
    alone(async |programs| who_may_call(programs, SdsVariant::StateOfTheWorld, token).await);
}

#[test]
fn google_grpc_with_the_header_as_istio_1_1_spelt_it() {
    let token = TokenPath::GoogleGrpc("istio_sds_credentail_header-bin");
    alone(async |programs| who_may_call(programs, SdsVariant::StateOfTheWorld, token).await);
}

async fn who_may_call(programs: &Programs, variant: SdsVariant, frontend_token: TokenPath) -> Result<()> {
    let plan = Plan {
        leaf_lifetime: Duration::from_secs(600),
        token_lifetime: Duration::from_secs(600),
        new_token_every: None,
        frontend_token,
        variant,
    };
    let mesh = Mesh::raise(programs, &plan).await?;
    the_accepted_identity_gets_through(&mesh).await?;
    refused(&mesh, "connection_error", async || http::get(mesh.doors.server, "/").await.is_err()).await?;
    refused(&mesh, "fail_verify_no_cert", async || {
        openssl::connect_without_certificate(mesh.doors.server).is_ok()
    })
    .await?;
    refused(&mesh, "fail_verify_san", async || {
        http::get(mesh.doors.intruder, "/").await.is_ok_and(|answer| answer.status.is_server_error())
    })
    .await
}

async fn the_accepted_identity_gets_through(mesh: &Mesh) -> Result<()> {
    let answer = http::get(mesh.doors.frontend, "/").await?;
    ensure!(answer.status.is_success(), "{answer:?}");
    let echo: Value = serde_json::from_str(&answer.body)?;
    let told = echo.pointer("/headers/x-forwarded-client-cert").and_then(Value::as_str).unwrap_or_default();
    let caller = format!("URI={}", mesh.workloads.frontend.identity());
    ensure!(told.split(';').any(|part| part == caller), "{told}");
    Ok(())
}

/// `attempt` is refused as seen from outside, and the server's Envoy counts it under `reason`.
async fn refused(mesh: &Mesh, reason: &str, attempt: impl AsyncFnOnce() -> bool) -> Result<()> {
    let statistic = format!("listener.inbound.ssl.{reason}");
    let before = mesh.server.admin().statistic(&statistic).await?;
    ensure!(attempt().await, "it was not refused: {reason}");
    let after = mesh.server.admin().statistic_above(before, &statistic).await?;
    ensure!(after > before, "the server did not count {reason}");
    Ok(())
}
