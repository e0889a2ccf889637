//! Many at once: one login for all, and no more requests at Vault than it takes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use signet::stage::openbao::{PKI_MOUNT, WORKLOAD_ROLE};
use signet::stage::{Ca, CaSettings, OpenBao, SignedBy};
use signet_tests::alone;
use signet_tests::faulty::FaultyProxy;
use signet_tests::issuing::Requester;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{HOUR, START, Scene};

const REQUESTS: usize = 1000;

/// What Vault takes a second.
const RATE: u32 = 50;

const UNLIMITED: u32 = 100_000;

/// Each with a connection of its own.
const AGENTS: usize = 50;

#[test]
fn a_thousand_wait_for_a_vault_that_takes_fifty_a_second_and_hundreds_log_in_once() {
    alone(async |programs| {
        let Scene { openbao, issuer, stage } = Scene::set().await?;
        let proxy = FaultyProxy::before(openbao.plain_port()).await?;
        let access = openbao.accept_jwt(&stage, &issuer, HOUR).await?.by_way_of(proxy.port());
        let settings = CaSettings::new(HOUR, &issuer).signed_by(SignedBy::Vault(access));
        let mut ca = Ca::start(&stage, programs, &settings)?;
        ca.daemon().ready(START).await?;
        let agents = (0..AGENTS).map(|_| Ok(Arc::new(Requester::before(&ca, &issuer)?)));
        let agents = agents.collect::<Result<Vec<_>>>()?;

        openbao.limit_rate(PKI_MOUNT, RATE).await?;
        let (asked, signed) = (proxy.asked("/sign/"), signatures(&openbao)?);
        all_ask(&agents, REQUESTS).await?;
        let (asked, signed) = (proxy.asked("/sign/") - asked, signatures(&openbao)? - signed);
        // Some come back to a client that has given up, and some meet the limit to learn of it.
        ensure!(signed < REQUESTS * 5 / 4, "Vault signed {signed} times for {REQUESTS} certificates");
        ensure!(asked < REQUESTS * 5 / 2, "Vault was asked {asked} times for {REQUESTS} certificates");

        openbao.limit_rate(PKI_MOUNT, UNLIMITED).await?;
        openbao.revoke_logins("jwt").await?;
        all_ask(&agents, REQUESTS / 4).await?;
        let logins = openbao.count("auth/jwt/login")?;
        ensure!(logins == 2, "{logins} logins: one at the start, and one for all whose token was revoked");
        Ok(())
    });
}

/// All at once, each until it has its certificate, coming back when it is told to.
async fn all_ask(agents: &[Arc<Requester>], requests: usize) -> Result<()> {
    let mut clients = JoinSet::new();
    for agent in agents.iter().cycle().take(requests).map(Arc::clone) {
        clients.spawn(async move {
            loop {
                match agent.ask().await {
                    Ok(issued) => return agent.verify(issued).map(drop),
                    Err(error) => sleep(error.retry_after().unwrap_or(Duration::from_secs(1))).await,
                }
            }
        });
    }
    Ok(clients.join_all().await.into_iter().collect::<Result<(), _>>()?)
}

fn signatures(openbao: &OpenBao) -> Result<usize> {
    openbao.count(&format!("{PKI_MOUNT}/sign/{WORKLOAD_ROLE}"))
}
