//! SDS clients that are neither Envoy's nor ours, unmodified: gRPC's C core for Python, Node.js and Go.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;
use signet::stage::{Ca, CaSettings, NodeAgent, NodeAgentSettings, Stage, TokenIssuer, Workload};
use signet_identity::CertificateSummary;
use signet_tests::alone;
use tokio::process::Command;
use tokio::time::timeout;

const START: Duration = Duration::from_secs(60);
/// A certificate of 12 s is renewed after 8.4 s at the latest; the rest is for a machine that is busy.
const DEADLINE: Duration = Duration::from_secs(60);

/// Each gets both secrets, sees its certificate rotate, and is refused with a token that is none.
#[test]
fn each_grpc_library_gets_its_secrets_and_sees_them_rotate() {
    alone(async |programs| {
        let stage = Stage::set()?;
        let issuer = Arc::new(TokenIssuer::new(&stage)?);
        let mut ca = Ca::start(&stage, programs, &CaSettings::new(Duration::from_secs(12), &issuer))?;
        ca.daemon().ready(START).await?;
        let mut agent = NodeAgent::start(&stage, programs, ca.endpoint()?, &NodeAgentSettings::default())?;
        agent.daemon().ready(START).await?;
        let orders = Workload::new(&stage, &issuer, "orders", Duration::from_secs(600))?;
        let bad = stage.write("bad-token", "not.a.token")?;

        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("a workspace")?;
        let installed = Command::new(root.join("scripts/clients")).stderr(Stdio::inherit()).output().await?;
        ensure!(installed.status.success(), "scripts/clients failed");
        let clients = Path::new(std::str::from_utf8(&installed.stdout)?.trim()).to_owned();
        let mut python = Command::new("python3");
        python.arg(clients.join("python/client.py")).env("PYTHONPATH", clients.join("python/packages"));
        let mut node = Command::new("node");
        node.arg(clients.join("node/client.js"));
        let go = Command::new(clients.join("go/client"));

        let (identity, socket, token) = (orders.identity().as_str(), agent.socket(), orders.token_file());
        let protos = root.join("proto/proto");
        let run = |name: &'static str, mut program: Command| {
            program.arg(socket).arg(&token).arg(&bad).arg(&protos);
            async move { must_be_whole(&seen_by(program).await?, name, identity) }
        };
        let (python, node, go) = tokio::join!(run("Python", python), run("Node.js", node), run("Go", go));
        python.context("Python")?;
        node.context("Node.js")?;
        go.context("Go")
    });
}

/// What a client prints, line by line.
async fn seen_by(mut program: Command) -> Result<Vec<Value>> {
    let ended = timeout(DEADLINE, program.kill_on_drop(true).output()).await;
    let ended = ended.with_context(|| format!("not done within {DEADLINE:?}"))?;
    let ended = ended.with_context(|| format!("cannot run {program:?}"))?;
    let (said, errors) =
        (String::from_utf8(ended.stdout)?, String::from_utf8_lossy(&ended.stderr).into_owned());
    ensure!(ended.status.success(), "it ended with {}: {said}{errors}", ended.status);
    said.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn must_be_whole(seen: &[Value], name: &str, identity: &str) -> Result<()> {
    let of = |field: &str| seen.iter().filter(|line| line.get(field).is_some()).collect::<Vec<_>>();
    let chains: BTreeSet<_> = of("chain").iter().filter_map(|line| line["chain"].as_str()).collect();
    ensure!(chains.len() == 2, "it saw {} certificates and no rotation: {seen:?}", chains.len());
    for chain in chains {
        let leaf = CertificateDer::from_pem_slice(chain.as_bytes())?;
        let leaf = CertificateSummary::of(&leaf)?;
        ensure!(leaf.uris() == [identity], "a certificate of {:?}", leaf.uris());
    }
    ensure!(of("chain").iter().all(|line| line["key"] == true), "a certificate without its key");
    ensure!(of("roots").iter().any(|line| line["secret"] == "ROOTCA"), "no ROOTCA: {seen:?}");
    let [refused] = of("refused")[..] else { anyhow::bail!("no refusal: {seen:?}") };
    let status = refused["refused"].as_str().unwrap_or_default().to_lowercase();
    ensure!(status == "unauthenticated", "{refused}");
    ensure!(refused["message"].as_str().is_some_and(|text| text.contains("request ")), "{refused}");
    if name == "Python" {
        let services = ["envoy.service.secret.v3.SecretDiscoveryService", "grpc.health.v1.Health"];
        let listed = of("services")[0]["services"].as_array().context("no list")?;
        ensure!(services.iter().all(|service| listed.contains(&Value::from(*service))), "{listed:?}");
    }
    ensure!(of("health").iter().any(|line| line["health"] == "SERVING"), "no health: {seen:?}");
    Ok(())
}
