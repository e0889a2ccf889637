//! Who may call, and what the application learns of them.

use anyhow::Result;
use serde_json::Value;

use crate::output::Proof;
use crate::stage::{Mesh, http};

/// The request of `frontend` arrives, with its identity proven and written down for the application.
pub(super) async fn is_known(mesh: &Mesh) -> Result<Vec<Proof>> {
    let answer = http::get(mesh.doors.frontend, "/orders/42").await?;
    let echo: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let told = echo.pointer("/headers/x-forwarded-client-cert").and_then(Value::as_str).unwrap_or_default();
    let (caller, called) = (mesh.workloads.frontend.identity(), mesh.workloads.orders.identity());
    let names_both = told.split(';').any(|part| part == format!("URI={caller}"))
        && told.split(';').any(|part| part == format!("By={called}"));
    let server = mesh.server.admin();
    let modern = server.statistic("listener.inbound.ssl.versions.TLSv1.3").await?;
    let handshakes = server.statistic("listener.inbound.ssl.handshake").await?;
    Ok(vec![
        Proof::new(
            answer.status.is_success(),
            format!("GET /orders/42 through both Envoys: {}", answer.status),
        ),
        Proof::new(names_both, "the application was told both identities")
            .evidence(format!("x-forwarded-client-cert: {told}")),
        Proof::new(
            modern > 0 && modern == handshakes,
            format!("{modern} of {handshakes} handshakes at the server were TLS 1.3"),
        ),
    ])
}

/// Whoever speaks plain HTTP to the server's Envoy gets no answer.
pub(super) async fn needs_tls(mesh: &Mesh) -> Result<Vec<Proof>> {
    let errors = "listener.inbound.ssl.connection_error";
    let before = mesh.server.admin().statistic(errors).await?;
    let answer = http::get(mesh.doors.server, "/orders/42").await;
    let after = mesh.server.admin().statistic_above(before, errors).await?;
    let seen = match &answer {
        Ok(answer) => format!("was answered: {}", answer.status),
        Err(_) => "the connection was closed without an answer".to_owned(),
    };
    Ok(vec![
        Proof::new(answer.is_err(), format!("GET /orders/42 in plain HTTP: {seen}")),
        Proof::new(
            after > before,
            format!("at the server ssl.connection_error went from {before} to {after}"),
        ),
    ])
}

/// `intruder` has a certificate of the same authority, and gets nowhere with it.
pub(super) async fn needs_the_right_identity(mesh: &Mesh) -> Result<Vec<Proof>> {
    let intruder = mesh.workloads.intruder.identity();
    let serial = mesh.client.admin().serial_of(intruder.as_str()).await?;
    let refusals = "listener.inbound.ssl.fail_verify_san";
    let before = mesh.server.admin().statistic(refusals).await?;
    let answer = http::get(mesh.doors.intruder, "/orders/42").await?;
    let after = mesh.server.admin().statistic_above(before, refusals).await?;
    Ok(vec![
        Proof::new(serial.is_some(), "the intruder holds a valid certificate of its own")
            .evidence(format!("{intruder}, serial {}", serial.unwrap_or_default())),
        Proof::new(!answer.status.is_success(), format!("GET /orders/42 in its name: {}", answer.status)),
        Proof::new(
            after > before,
            format!("at the server ssl.fail_verify_san went from {before} to {after}"),
        ),
    ])
}
