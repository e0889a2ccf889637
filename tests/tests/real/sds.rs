//! `signet sds` before a real node agent and a real CA.

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use signet::stage::{Ca, CaSettings, NodeAgent, NodeAgentSettings, Programs, Stage, TokenIssuer, Workload};
use signet_tests::alone;
use signet_tests::command::{Said, text};

const START: Duration = Duration::from_secs(60);
const ORDERS: &str = "spiffe://cluster.local/ns/shop/sa/orders";

/// An agent before a CA, and a workload.
struct Scene<'a> {
    programs: &'a Programs,
    agent: NodeAgent,
    orders: Workload,
    _ca: Ca,
    stage: Stage,
}

impl<'a> Scene<'a> {
    async fn set(programs: &'a Programs, leaf_lifetime: Duration) -> Result<Self> {
        let stage = Stage::set()?;
        let issuer = Arc::new(TokenIssuer::new(&stage)?);
        let mut ca = Ca::start(&stage, programs, &CaSettings::new(leaf_lifetime, &issuer))?;
        ca.daemon().ready(START).await?;
        let mut agent = NodeAgent::start(&stage, programs, ca.endpoint()?, &NodeAgentSettings::default())?;
        agent.daemon().ready(START).await?;
        let orders = Workload::new(&stage, &issuer, "orders", Duration::from_secs(600))?;
        Ok(Self { programs, agent, orders, _ca: ca, stage })
    }

    fn line<'b>(&'b self, verb: &'b str, token: &'b str, arguments: &[&'b str]) -> Result<Vec<&'b str>> {
        let mut line = vec!["sds", verb, "--token-file", token];
        if !arguments.contains(&"--socket") {
            line.extend(["--socket", text(self.agent.socket())?]);
        }
        line.extend(arguments);
        Ok(line)
    }

    fn get(&self, arguments: &[&str]) -> Result<Said> {
        let token = self.orders.token_file();
        Said::by(self.programs, &self.line("get", text(&token)?, arguments)?)
    }
}

#[test]
fn what_a_proxy_would_be_given_is_shown_without_its_key() {
    alone(async |programs| {
        let scene = Scene::set(programs, Duration::from_secs(600)).await?;
        for variant in [&[][..], &["--delta"]] {
            let said = scene.get(variant)?.must(0, &["default", "ROOTCA", ORDERS, "changed   first"])?;
            ensure!(!said.answer.contains("PRIVATE KEY"), "{said:?}");
        }
        let answer = scene.get(&["--output", "json"])?.must(0, &[])?.json()?;
        ensure!(answer["held"] == true && answer["missing"] == Value::Array(vec![]), "{answer}");
        let keys = scene.get(&["default", "--show-private-keys"])?;
        keys.must(0, &["BEGIN PRIVATE KEY", "private keys follow"]).map(drop)
    });
}

#[test]
fn each_mistake_gets_its_words_and_its_exit_code() {
    alone(async |programs| {
        let scene = Scene::set(programs, Duration::from_secs(600)).await?;
        let path = |name| scene.stage.directory().join(name);
        let (left_over, absent) = (path("left-over.sock"), path("absent.sock"));
        drop(UnixListener::bind(&left_over)?);
        let dead = scene.stage.write("dead-token", "e30.e30.x")?;
        for (arguments, code, parts) in [
            (
                &["--socket", text(&absent)?][..],
                3,
                &["there is no socket", "start the agent", "--socket"][..],
            ),
            (&["--socket", text(&left_over)?], 3, &["nobody listens on", "start the agent"]),
            (&["nobody"], 1, &["NOT_FOUND", "request", "ask for a name that it serves"]),
        ] {
            scene.get(arguments)?.must(code, parts).with_context(|| arguments.join(" "))?;
        }
        for verb in ["get", "watch"] {
            let refused = Said::by(programs, &scene.line(verb, text(&dead)?, &[])?)?;
            refused.must(1, &["UNAUTHENTICATED", "signet token inspect"])?;
        }
        Ok(())
    });
}

/// Certificates of 5 s are renewed after 2.0 to 3.5 s.
#[test]
fn a_watch_tells_each_rotation_and_goes_on_when_the_agent_comes_back() {
    alone(async |programs| {
        let mut scene = Scene::set(programs, Duration::from_secs(5)).await?;
        let token = scene.orders.token_file();
        let line =
            scene.line("watch", text(&token)?, &["--count", "4", "--for", "60s", "--output", "json"])?;
        let watch = Command::new(programs.signet()?)
            .args(line)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        scene.agent.daemon().stop(START).await?;
        scene.agent.daemon().start_again(&scene.stage)?;
        let said = Said::of(watch.wait_with_output()?)?.must(0, &[])?;
        let events = said.json_lines()?;
        let kinds: Vec<_> = events.iter().filter_map(|event| event["event"].as_str()).collect();
        for kind in ["push", "disconnected", "connected", "sum"] {
            ensure!(kinds.contains(&kind), "no {kind}: {kinds:?}");
        }
        let rotated = events
            .iter()
            .any(|event| event["changed"].as_array().is_some_and(|all| all.contains(&"key".into())));
        ensure!(rotated && !said.answer.contains("PRIVATE KEY"), "{said:?}");
        Ok(())
    });
}

#[test]
fn ctrl_c_ends_a_watch_with_a_sum() {
    alone(async |programs| {
        let scene = Scene::set(programs, Duration::from_secs(600)).await?;
        let token = scene.orders.token_file();
        let log = scene.stage.directory().join("watch.out");
        let watch = Command::new(programs.signet()?)
            .args(scene.line("watch", text(&token)?, &["ROOTCA"])?)
            .stdout(fs::File::create(&log)?)
            .spawn()?;
        let seen = async || fs::read_to_string(&log).ok().filter(|told| told.contains("changed")).map(drop);
        let deadline = tokio::time::Instant::now() + START;
        signet::stage::poll::until(deadline, signet::stage::poll::PACE, seen).await.context("no push")?;
        kill_process(Pid::from_child(&watch), Signal::INT)?;
        let ended = watch.wait_with_output()?.status;
        ensure!(ended.code() == Some(0), "{ended}");
        let told = fs::read_to_string(&log)?;
        ensure!(told.contains("1 secrets in"), "{told}");
        Ok(())
    });
}
