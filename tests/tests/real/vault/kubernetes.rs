//! Logins by tokens that a real API server reviews.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use signet::stage::openbao::{CA_ACCOUNT, VAULT_AUDIENCE};
use signet::stage::{Ca, CaSettings, Kubernetes, ServiceAccount, SignedBy, Stage, poll};
use signet_client::{CaError, Token};
use signet_tests::issuing::Requester;
use signet_tests::{alone, kubernetes};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use tokio::time::{Instant, timeout};

use super::workload::{A_WHILE, Agent, SEEN, Vault};
use super::{HOUR, START, Scene};

const LOGIN: &str = "auth/kubernetes/login";

/// Soon over, so that a CA has to log in.
const LEASE: Duration = Duration::from_secs(2);

#[test]
fn a_ca_logs_in_by_its_own_service_account_whichever_way_it_signs() {
    alone(async |programs| {
        let cluster = cluster().await?;
        let Scene { openbao, issuer, stage } = Scene::set().await?;
        let access = openbao.accept_service_account(&stage, &cluster.kubernetes, HOUR).await?;
        let intermediate = access.clone().with("intermediate_lifetime", "1h");
        for (way, signed_by) in [
            ("each leaf", SignedBy::Vault(access)),
            ("an intermediate", SignedBy::VaultIntermediate(intermediate)),
        ] {
            let stage = Stage::set()?;
            let mut ca = Ca::start(&stage, programs, &CaSettings::new(HOUR, &issuer).signed_by(signed_by))?;
            ca.daemon().ready(START).await.context(way)?;
            let requester = Requester::before(&ca, &issuer)?;
            requester.verify(requester.ask().await.context(way)?)?;
        }
        let logins = openbao.count(LOGIN)?;
        ensure!(logins == 2, "{logins} logins of two CAs");
        Ok(())
    });
}

#[test]
fn a_workload_is_who_the_api_server_says_and_nobody_else() {
    alone(async |_| {
        let cluster = cluster().await?;
        let vault = cluster.vault().await?;
        let orders = cluster.token(&vault, "orders").await?;
        vault.asks(&orders, "orders").await?;
        vault.asks(&cluster.token(&vault, "frontend").await?, "frontend").await?;

        let refused = vault.ask(&orders, "frontend").await;
        ensure!(matches!(&refused, Err(CaError::Denied(_))), "orders as frontend: {refused:?}");
        vault.must_have_been_asked(LOGIN, 2)
    });
}

#[test]
fn a_login_waits_for_an_api_server_that_was_killed() {
    alone(async |programs| {
        let mut cluster = cluster().await?;
        let vault = cluster.vault().await?;
        let (openbao, issuer) = (&vault.scene.openbao, &vault.scene.issuer);
        let access = openbao.accept_service_account(&vault.scene.stage, &cluster.kubernetes, LEASE).await?;
        let settings = CaSettings::new(HOUR, issuer).signed_by(SignedBy::Vault(access));
        let stages = [Stage::set()?, Stage::set()?];
        let mut running = Ca::start(&stages[0], programs, &settings)?;
        running.daemon().ready(START).await?;
        let requester = Requester::before(&running, issuer)?;
        requester.verify(requester.ask().await?)?;
        let agent = Agent::start(&vault).await?;
        let token = cluster.token(&vault, "orders").await?;

        cluster.kubernetes.kill()?;
        let before = openbao.count(LOGIN)?;
        let mut starting = Ca::start(&stages[1], programs, &settings)?;
        let mut stream = agent.stream(token).await?;
        let fails = async || requester.ask().await.err();
        let failed =
            poll::until(Instant::now() + START, poll::PACE, fails).await.context("it goes on issuing")?;
        ensure!(matches!(failed, CaError::Unavailable(_)), "{failed:?}");
        for ca in [&mut running, &mut starting] {
            tells(ca, "was not confirmed").await?;
        }
        ensure!(timeout(A_WHILE, stream.next()).await.is_err(), "neither answered nor failed");

        cluster.start_again().await?;
        starting.daemon().ready(START).await.context("the one that starts")?;
        let issues = async || requester.ask().await.ok();
        let issued = poll::until(Instant::now() + SEEN, poll::PACE, issues).await;
        requester.verify(issued.context("the one that runs goes on failing")?)?;
        ensure!(timeout(SEEN, stream.next()).await.context("no SVID")??.is_some(), "the stream was closed");
        let logins = openbao.count(LOGIN)? - before;
        ensure!((3..=MOST_LOGINS).contains(&logins), "{logins} logins of three");
        Ok(())
    });
}

#[test]
fn a_service_account_that_is_gone_logs_in_no_more_and_the_words_tell() {
    alone(async |programs| {
        let cluster = cluster().await?;
        let vault = cluster.vault().await?;
        let (openbao, issuer, stage) = (&vault.scene.openbao, &vault.scene.issuer, &vault.scene.stage);
        let access = openbao.accept_service_account(stage, &cluster.kubernetes, HOUR).await?;
        let orders = cluster.token(&vault, "orders").await?;
        for account in [CA_ACCOUNT, workload("orders")] {
            cluster.kubernetes.delete(account).await?;
        }
        let mut ca =
            Ca::start(stage, programs, &CaSettings::new(HOUR, issuer).signed_by(SignedBy::Vault(access)))?;

        let refused = vault.ask(&orders, "orders").await;
        let told = format!("{refused:?}");
        ensure!(matches!(refused, Err(CaError::Unavailable(_))) && told.contains(GONE), "{told}");
        ensure!(!told.contains(orders.reveal()), "the token is told");
        tells(&mut ca, GONE).await
    });
}

const GONE: &str = "the service account may be gone";

async fn tells(ca: &mut Ca, what: &str) -> Result<()> {
    let process = ca.daemon().process();
    let says = async || process.log().is_ok_and(|log| log.contains(what)).then_some(());
    let told = poll::until(Instant::now() + START, poll::PACE, says).await;
    told.with_context(|| format!("no {what:?} in {}", process.log().unwrap_or_default()))
}

/// One API server for all tests: it takes seconds to start, and ends with this program.
static CLUSTER: Mutex<Option<Cluster>> = Mutex::const_new(None);

pub(super) struct Cluster {
    pub(super) kubernetes: Kubernetes,
    stage: Stage,
}

/// The cluster, whatever the tests before have left in it; a new one, if one that failed has left it dead.
pub(super) async fn cluster() -> Result<MappedMutexGuard<'static, Cluster>> {
    let mut cluster = CLUSTER.lock().await;
    if cluster.as_mut().is_none_or(|cluster| cluster.kubernetes.has_ended()) {
        let stage = Stage::set()?;
        *cluster = Some(Cluster { kubernetes: Kubernetes::start(&stage, &kubernetes()?).await?, stage });
    }
    MutexGuard::try_map(cluster, Option::as_mut).ok().context("it has just been started")
}

impl Cluster {
    async fn start_again(&mut self) -> Result<()> {
        self.kubernetes.start_again(&self.stage).await
    }

    /// A Vault for its workloads.
    async fn vault(&self) -> Result<Vault> {
        let scene = Scene::set().await?;
        let access = scene.openbao.accept_service_accounts(&scene.stage, &self.kubernetes, HOUR).await?;
        Vault::before(scene, access)
    }

    /// A token for Vault, of a service account which is made if there is none.
    async fn token(&self, vault: &Vault, name: &str) -> Result<Token> {
        let account = workload(name);
        self.kubernetes.create(account).await?;
        let token = self.kubernetes.token(&vault.scene.stage, account, VAULT_AUDIENCE).await?;
        Ok(Token::new(&token)?)
    }
}

fn workload(name: &str) -> ServiceAccount<'_> {
    ServiceAccount { namespace: "shop", name }
}

/// Of the three that wait, in the seconds that the API server is away: some 25 if the machine has nothing else to do.
const MOST_LOGINS: usize = 100;
