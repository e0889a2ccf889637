//! `signet bench sds` before a real agent.

use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use signet::stage::{Ca, CaSettings, NodeAgent, Programs, Stage, TokenIssuer};
use signet_tests::alone;
use tokio::process::Command;

/// Renewed every 2 to 3.5 s.
const LEAF: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(30);

struct Load<'a> {
    stage: Stage,
    programs: &'a Programs,
    agent: NodeAgent,
    _ca: Ca,
}

impl<'a> Load<'a> {
    async fn begin(programs: &'a Programs) -> Result<Self> {
        let stage = Stage::set()?;
        let issuer = TokenIssuer::new(&stage)?;
        stage.write("token", &issuer.mint("orders", Duration::from_secs(600))?)?;
        let mut ca = Ca::start(&stage, programs, &CaSettings::new(LEAF, &issuer))?;
        ca.daemon().ready(SOON).await?;
        let mut agent = NodeAgent::start(&stage, programs, ca.endpoint()?, &Default::default())?;
        agent.daemon().ready(SOON).await?;
        Ok(Self { stage, programs, agent, _ca: ca })
    }

    /// The exit code and the answer.
    async fn of(&self, flags: &[&str]) -> Result<(Option<i32>, Value)> {
        let Output { status, stdout, .. } = Command::new(self.programs.signet()?)
            .args(["bench", "sds", "--output", "json", "--token-file"])
            .arg(self.stage.directory().join("token"))
            .arg("--socket")
            .arg(self.agent.socket())
            .args(flags)
            .output()
            .await?;
        let answer = serde_json::from_slice(&stdout).context("no answer in JSON")?;
        Ok((status.code(), answer))
    }
}

#[test]
fn streams_that_are_held_are_pushed_every_rotation() {
    alone(async |programs| {
        let load = Load::begin(programs).await?;
        let (code, answer) = load.of(&["--streams", "20", "--connections", "4", "--duration", "8s"]).await?;
        ensure!(code == Some(0) && answer["with_secrets"] == 20, "{code:?}: {answer}");
        ensure!(answer["pushes"].as_u64() >= Some(20), "{answer}");
        ensure!(answer["push_to_all"]["count"].as_u64() >= Some(1), "{answer}");
        Ok(())
    });
}

#[test]
fn streams_that_the_agent_refuses_are_told_with_their_status() {
    alone(async |programs| {
        let load = Load::begin(programs).await?;
        let (code, answer) = load.of(&["--streams", "260", "--connections", "2", "--duration", "2s"]).await?;
        ensure!(code == Some(1) && answer["with_secrets"] == 256, "{code:?}: {answer}");
        let ended = &answer["ended"][0];
        ensure!(ended["status"] == "RESOURCE_EXHAUSTED" && ended["streams"] == 4, "{answer}");
        Ok(())
    });
}
