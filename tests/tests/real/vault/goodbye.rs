//! Many workloads that go at once, and their tokens at Vault.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use signet_client::CaClient;
use signet_runtime::testing::CapturedLog;
use signet_tests::alone;
use signet_tests::faulty::{Fault, FaultyProxy};
use tokio::time::{sleep, timeout};

use super::workload::{A_WHILE, GIVE_BACK, Vault};
use super::{HOUR, Scene};

/// `vault.concurrency`, and how many of its requests may be goodbyes.
const CONCURRENCY: usize = 8;
const GOODBYES: usize = 2;

#[test]
fn tokens_that_are_given_back_wait_for_one_another_and_keep_nobody_waiting() {
    alone(async |_| {
        let scene = Scene::set().await?;
        let proxy = FaultyProxy::before(scene.openbao.plain_port()).await?;
        let access = scene.openbao.accept_workloads(&scene.issuer, HOUR).await?;
        let access = access.by_way_of(proxy.port()).with("concurrency", CONCURRENCY);
        let vault = Vault::before(scene, access)?;
        let names: Vec<_> = (0..2 * CONCURRENCY).map(|number| format!("workload-{number}")).collect();
        let tokens = names.iter().map(|name| vault.token(name)).collect::<Result<Vec<_>>>()?;
        for (name, token) in names.iter().zip(&tokens) {
            vault.asks(token, name).await?;
        }

        proxy.misbehave(GIVE_BACK, Fault::Late(3 * A_WHILE));
        tokens.iter().for_each(|token| vault.ca.release(token.hash()));
        sleep(A_WHILE).await;

        let under_way = proxy.asked(GIVE_BACK);
        ensure!(under_way == GOODBYES, "{under_way} goodbyes at once");
        let asks = timeout(Duration::from_secs(1), vault.asks(&tokens[0], &names[0])).await;
        asks.context("it waits for those who go")??;
        proxy.behave();
        vault.is_asked(GIVE_BACK, names.len()).await
    });
}

#[test]
fn a_policy_that_lets_nobody_give_a_token_back_is_told_of_once() {
    alone(async |_| {
        let mut vault = Vault::set().await?;
        vault.tokens_are(&json!({"token_no_default_policy": true})).await?;
        let names = ["orders", "frontend"];
        for name in names {
            vault.asks(&vault.token(name)?, name).await?;
        }
        let log = CapturedLog::begin();
        vault.end().await?;

        vault.must_have_been_asked(GIVE_BACK, names.len())?;
        let log = log.text();
        let told: Vec<_> = log.lines().filter(|line| line.contains(GIVE_BACK)).collect();
        ensure!(matches!(told[..], [once] if once.contains("policy must allow `update` there")), "{log}");
        Ok(())
    });
}
