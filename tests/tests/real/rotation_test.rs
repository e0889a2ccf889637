//! `signet rotation test` before a real agent and a real Envoy.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use signet::stage::envoy::SdsVariant;
use signet::stage::{
    Ca, CaSettings, Mesh, NodeAgent, NodeAgentSettings, Plan, Programs, Stage, TokenIssuer, TokenPath,
    Workload,
};
use signet_tests::alone;
use signet_tests::command::{Said, text};
use tokio::process::{Child, Command};

const START: Duration = Duration::from_secs(60);

/// Certificates of 6 s are renewed after 2.4 to 4.2 s; a busy machine has the rest.
const PLAN: Plan = Plan {
    leaf_lifetime: Duration::from_secs(6),
    token_lifetime: Duration::from_secs(600),
    new_token_every: None,
    frontend_token: TokenPath::Volume,
    variant: SdsVariant::StateOfTheWorld,
};

#[test]
fn rotations_of_an_agent_and_of_an_envoy_are_seen_and_harm_nothing() {
    alone(async |programs| {
        let mut mesh = Mesh::raise(programs, &PLAN).await?;
        let endpoint = format!("tls://127.0.0.1:{}", mesh.doors.server);
        let orders = mesh.workloads.orders.identity().to_string();
        let over_tls = run(&mesh, programs, &mesh.workloads.frontend, &[&endpoint, "--expect", &orders])?;
        let in_memory = run(&mesh, programs, &mesh.workloads.frontend, &[])?;
        // Streams end, and are opened anew while connections go on.
        tokio::time::sleep(Duration::from_secs(1)).await;
        mesh.agent.daemon().stop(START).await?;
        mesh.agent.daemon().start_again(&mesh.stage)?;
        for (name, test) in [("over TLS", over_tls), ("in memory", in_memory)] {
            let said = Said::of(test.wait_with_output().await?)?.must(0, &[])?;
            let events: Vec<Value> =
                said.answer.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
            let Some((sum, rotations)) = events.split_last() else { anyhow::bail!("{name}: no sum") };
            ensure!(sum["held"] == true && sum["failures"] == 0, "{name}: {sum}");
            ensure!(sum["handshakes"].as_u64() > Some(20), "{name}: {sum}");
            let rotated =
                |event: &Value| event["event"] == "rotation" && event["old_serial"] != event["new_serial"];
            ensure!(rotations.len() == 2 && rotations.iter().all(rotated), "{name}: {rotations:?}");
            ensure!(sum["rotations"][0]["old_valid_for_seconds"].as_f64() > Some(0.5), "{name}: {sum}");
        }
        Ok(())
    });
}

/// A certificate of 5 s, and no CA to renew it.
#[test]
fn a_certificate_that_is_not_renewed_is_told_by_the_first_connection_that_fails() {
    alone(async |programs| {
        let stage = Stage::set()?;
        let issuer = Arc::new(TokenIssuer::new(&stage)?);
        let mut ca = Ca::start(&stage, programs, &CaSettings::new(Duration::from_secs(5), &issuer))?;
        ca.daemon().ready(START).await?;
        let mut agent = NodeAgent::start(&stage, programs, ca.endpoint()?, &NodeAgentSettings::default())?;
        agent.daemon().ready(START).await?;
        let orders = Workload::new(&stage, &issuer, "orders", START)?;
        // The agent has a certificate before it has no CA any more.
        let (socket, token) = (text(agent.socket())?, orders.token_file());
        Said::by(programs, &["sds", "get", "--socket", socket, "--token-file", text(&token)?])?
            .must(0, &[])?;
        let test = test(programs, agent.socket(), &orders, &["--for", "7s"])?;
        ca.daemon().kill()?;
        let said = Said::of(test.wait_with_output().await?)?.must(1, &["expired", "new with new"])?;
        let events = said.json_lines()?;
        let sum = events.last().context("no sum")?;
        ensure!(
            sum["failures"].as_u64() > Some(0) && sum["handshakes"].as_u64() > sum["failures"].as_u64(),
            "{sum}"
        );
        ensure!(sum["longest_gap_seconds"].as_f64() > Some(0.5), "{sum}");
        Ok(())
    });
}

#[test]
fn rotations_that_do_not_come_and_endpoints_that_are_not_as_expected_are_told() {
    alone(async |programs| {
        let mesh = Mesh::raise(programs, &Plan { leaf_lifetime: Duration::from_secs(600), ..PLAN }).await?;
        let (frontend, intruder) = (&mesh.workloads.frontend, &mesh.workloads.intruder);
        let endpoint = format!("tls://127.0.0.1:{}", mesh.doors.server);
        let closed = format!("tls://127.0.0.1:{}", mesh.stage.free_port()?);
        let admin = format!("tls://127.0.0.1:{}", mesh.server.admin().port());
        let stranger = mesh.stage.write("stranger.pem", &another_root(programs).await?)?;
        let me = frontend.identity().as_str();
        for (workload, arguments, code, parts) in [
            (frontend, &["--for", "1s"][..], 1, &["\"rotations\":[]", "\"held\":false"][..]),
            (frontend, &[&closed], 3, &["refused", "check the address"]),
            (frontend, &[&admin], 3, &["no TLS connection"]),
            (
                frontend,
                &[&endpoint, "--anchors", text(&stranger)?],
                3,
                &["presented", "issued by", "--anchors"],
            ),
            (frontend, &[&endpoint, "--expect", me], 3, &["where", me, "was expected"]),
            (intruder, &[&endpoint], 3, &["refused our certificate"]),
        ] {
            let said = Said::of(run(&mesh, programs, workload, arguments)?.wait_with_output().await?)?;
            said.must(code, parts).map_err(|error| error.context(arguments.join(" ")))?;
        }
        Ok(())
    });
}

async fn another_root(programs: &Programs) -> Result<String> {
    let stage = Stage::set()?;
    let mut ca =
        Ca::start(&stage, programs, &CaSettings::new(PLAN.leaf_lifetime, &TokenIssuer::new(&stage)?))?;
    ca.daemon().ready(START).await?;
    Ok(std::fs::read_to_string(ca.anchors())?)
}

fn run(mesh: &Mesh, programs: &Programs, workload: &Workload, arguments: &[&str]) -> Result<Child> {
    test(programs, mesh.agent.socket(), workload, arguments)
}

fn test(programs: &Programs, socket: &Path, workload: &Workload, arguments: &[&str]) -> Result<Child> {
    Ok(Command::new(programs.signet()?)
        .args(["rotation", "test", "--rotations", "2", "--output", "json"])
        .args(["--socket", text(socket)?, "--token-file", text(&workload.token_file())?])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?)
}
