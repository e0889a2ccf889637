//! Workloads before Vault by their own tokens: what they get there, what they do not, and what is left of them.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use signet::stage::openbao::{VAULT_AUDIENCE, VaultAccess};
use signet::stage::{TokenIssuer, poll, trust_domain};
use signet_client::sds::{Credential, SdsClient, SecretStream};
use signet_client::{CaClient, CaError, Issued, Outage, Reachability, Token};
use signet_identity::{CertificateRequest, Clock, Expected, PrivateKey, SpiffeId, X509Svid};
use signet_node_agent::VaultCa;
use signet_node_agent::config::{Config, Source};
use signet_node_agent::process::Process;
use signet_runtime::SystemClock;
use signet_runtime::telemetry::{Metrics, install_metrics};
use signet_tests::alone;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{HOUR, START, Scene};

const LOGIN: &str = "auth/jwt/login";
pub(super) const GIVE_BACK: &str = "auth/token/revoke-self";
/// Vault's return is seen by the next look: the client's breaker keeps it back for 10 s at most, the agent for 5 s.
pub(super) const SEEN: Duration = Duration::from_secs(20);
/// Long enough for what is under way.
pub(super) const A_WHILE: Duration = Duration::from_secs(1);

#[test]
fn a_workload_has_its_own_identity_signed_and_nobody_elses() {
    alone(async |_| {
        let vault = Vault::set().await?;
        let orders = vault.token("orders")?;
        vault.asks(&orders, "orders").await?;
        vault.asks(&vault.token("frontend")?, "frontend").await?;

        let refused = vault.ask(&orders, "frontend").await;
        ensure!(matches!(&refused, Err(CaError::Denied(_))), "orders as frontend: {refused:?}");
        ensure!(*vault.ca.reachability().borrow() == Reachability::Reachable, "a no is an answer");
        vault.asks(&orders, "orders").await?;
        vault.must_have_been_asked(LOGIN, 2)
    });
}

#[test]
fn a_token_that_vault_does_not_take_gets_nothing() {
    alone(async |_| {
        let vault = Vault::set().await?;
        let forger = TokenIssuer::new(&vault.scene.stage)?;
        let ending = vault.token_for(Duration::from_secs(1), "orders")?;
        vault.asks(&vault.token("orders")?, "orders").await?;
        sleep(Duration::from_secs(2)).await;
        for (name, token) in [
            ("forged", Token::new(&forger.mint_for(VAULT_AUDIENCE, "orders", HOUR)?)?),
            ("for the CA", Token::new(&vault.scene.issuer.mint("orders", HOUR)?)?),
            ("over", ending),
        ] {
            let refused = vault.ask(&token, "orders").await;
            ensure!(matches!(&refused, Err(CaError::TokenRefused(_))), "{name}: {refused:?}");
            let told = format!("{refused:?}");
            ensure!(!told.contains(token.reveal()), "{name}: {told}");
        }
        Ok(())
    });
}

#[test]
fn a_login_that_vault_revoked_is_made_anew_once() {
    alone(async |_| {
        let vault = Vault::set().await?;
        let orders = vault.token("orders")?;
        vault.asks(&orders, "orders").await?;
        vault.scene.openbao.revoke_logins("jwt").await?;

        vault.asks(&orders, "orders").await?;
        vault.must_have_been_asked(LOGIN, 2)
    });
}

#[test]
fn a_sealed_vault_is_seen_to_be_away_and_to_be_back() {
    alone(async |_| {
        let vault = Vault::set().await?;
        let orders = vault.token("orders")?;
        vault.asks(&orders, "orders").await?;
        vault.scene.openbao.seal().await?;
        let away = vault.ask(&orders, "orders").await;
        let is_away = matches!(&away, Err(CaError::Unavailable(Outage::NotServing { .. })));
        ensure!(is_away, "sealed: {away:?}");
        vault.is(Reachability::Disconnected).await?;

        vault.scene.openbao.unseal().await?;
        vault.is(Reachability::Reachable).await.context("nobody asks, and it is back")?;
        vault.asks(&orders, "orders").await
    });
}

#[test]
fn what_vault_gave_is_given_back_when_the_token_is_let_go_and_when_the_agent_ends() {
    alone(async |_| {
        let mut vault = Vault::set().await?;
        let accounts = ["orders", "frontend", "third"];
        let tokens = accounts.map(|account| vault.token(account));
        for (token, account) in tokens.iter().zip(accounts) {
            vault.asks(token.as_ref().map_err(|error| anyhow!("{error:#}"))?, account).await?;
        }
        let [orders, ..] = tokens;
        let orders = orders?;
        vault.ca.release(orders.hash());
        vault.is_asked(GIVE_BACK, 1).await?;
        vault.ca.release(orders.hash());
        vault.asks(&orders, "orders").await?;
        vault.must_have_been_asked(LOGIN, 4)?;

        vault.end().await?;
        vault.must_have_been_asked(GIVE_BACK, 4)
    });
}

#[test]
fn a_batch_token_signs_and_ends_by_itself() {
    alone(async |_| {
        let mut vault = Vault::set().await?;
        vault.tokens_are(&json!({"token_type": "batch"})).await?;
        let orders = vault.token("orders")?;
        vault.asks(&orders, "orders").await?;
        vault.asks(&orders, "orders").await?;
        vault.must_have_been_asked(LOGIN, 1)?;
        vault.end().await?;
        vault.must_have_been_asked(GIVE_BACK, 0)
    });
}

#[test]
fn a_new_root_is_told_and_nothing_under_it_is_served_before_all_can_have_it() {
    alone(async |_| {
        let vault = Vault::set().await?;
        let orders = vault.token("orders")?;
        let before = vault.ask(&orders, "orders").await?.bundle;
        ensure!(before.version().is_none(), "Vault counts no versions: {:?}", before.version());
        vault.scene.openbao.rotate_root("root-2").await?;

        let held_back = vault.ask(&orders, "orders").await;
        ensure!(matches!(&held_back, Err(CaError::Unavailable(Outage::Answered(_)))), "{held_back:?}");
        let told = vault.ca.trust_bundle().await?.context("no roots")?;
        let (told, known) = (told.authorities(), before.authorities());
        ensure!(told.len() == 2 && known.iter().all(|root| told.contains(root)), "{} roots", told.len());
        Ok(())
    });
}

#[test]
fn a_stream_waits_for_a_sealed_vault_and_leaves_nothing_there_when_it_goes() {
    alone(async |_| {
        let vault = Vault::set().await?;
        vault.scene.openbao.seal().await?;
        let agent = Agent::start(&vault).await?;
        let mut stream = agent.stream(vault.token("orders")?).await?;
        ensure!(timeout(A_WHILE, stream.next()).await.is_err(), "neither answered nor failed");

        vault.scene.openbao.unseal().await?;
        let push = timeout(SEEN, stream.next()).await.context("no SVID")??;
        ensure!(push.is_some(), "the stream was closed");
        vault.must_have_been_asked(LOGIN, 1)?;
        vault.must_have_been_asked(GIVE_BACK, 0)?;

        drop(stream);
        vault.is_asked(GIVE_BACK, 1).await.context("its last stream has gone")
    });
}

#[test]
fn a_token_that_a_ca_would_take_is_not_shown_to_vault() {
    alone(async |_| {
        let vault = Vault::set().await?;
        let agent = Agent::start(&vault).await?;
        let token = Token::new(&vault.scene.issuer.mint("orders", HOUR)?)?;
        let mut stream = agent.stream(token).await?;
        let refused = timeout(START, stream.next()).await.context("held")?;
        let told = refused.err().map(|error| format!("{error:?}")).unwrap_or_default();
        ensure!(told.contains("which could replay it to the CA"), "{told}");

        let mut stream = agent.stream(vault.token("orders")?).await?;
        ensure!(timeout(START, stream.next()).await.context("no SVID")??.is_some());
        vault.must_have_been_asked(LOGIN, 1)
    });
}

/// A Vault for workloads, and the agent's way to it.
pub(super) struct Vault {
    pub(super) scene: Scene,
    access: VaultAccess,
    pub(super) ca: VaultCa,
    keeper: JoinSet<()>,
    stop: CancellationToken,
}

impl Vault {
    pub(super) async fn set() -> Result<Self> {
        let scene = Scene::set().await?;
        let access = scene.openbao.accept_workloads(&scene.issuer, HOUR).await?;
        Self::before(scene, access)
    }

    /// For whoever logs in like that.
    pub(super) fn before(scene: Scene, access: VaultAccess) -> Result<Self> {
        let config = configuration(&scene, &access, "vault-ca")?;
        let Source::Vault(vault) = config.ca.source else { return Err(anyhow!("not Vault alone")) };
        let (ca, runs) = VaultCa::new(*vault, trust_domain()?, 100)?;
        let (stop, mut keeper) = (CancellationToken::new(), JoinSet::new());
        keeper.spawn(runs.run(stop.clone()));
        Ok(Self { scene, access, ca, keeper, stop })
    }

    /// From now on, logins give such tokens.
    pub(super) async fn tokens_are(&self, such: &Value) -> Result<()> {
        let role = self.access.section().pointer("/auth/role").and_then(Value::as_str).context("no role")?;
        let path = format!("auth/jwt/role/{role}");
        let mut role = self.scene.openbao.read(&path).await?["data"].take();
        for (key, value) in such.as_object().into_iter().flatten() {
            role[key] = value.clone();
        }
        self.scene.openbao.write(&path, &role).await.map(drop)
    }

    pub(super) fn token(&self, account: &str) -> Result<Token> {
        self.token_for(HOUR, account)
    }

    fn token_for(&self, lifetime: Duration, account: &str) -> Result<Token> {
        Ok(Token::new(&self.scene.issuer.mint_for(VAULT_AUDIENCE, account, lifetime)?)?)
    }

    pub(super) async fn ask(&self, token: &Token, account: &str) -> Result<Issued, CaError> {
        let (_, _, issued) = self.ask_by_a_new_key(token, account).await;
        issued
    }

    /// The same, and what comes back is as a peer would have it.
    pub(super) async fn asks(&self, token: &Token, account: &str) -> Result<()> {
        let (identity, key, issued) = self.ask_by_a_new_key(token, account).await;
        let Issued { chain, bundle } = issued.with_context(|| format!("{account} asks"))?;
        let expected = Expected { identity: &identity, public_key: key.public_key() };
        X509Svid::verify(chain, expected, &bundle, SystemClock.now())?;
        Ok(())
    }

    async fn ask_by_a_new_key(
        &self,
        token: &Token,
        account: &str,
    ) -> (SpiffeId, PrivateKey, Result<Issued, CaError>) {
        let key = PrivateKey::generate().expect("a key");
        let trust_domain = trust_domain().expect("a trust domain");
        let identity = SpiffeId::workload(&trust_domain, "shop", account).expect("an identity");
        let csr = CertificateRequest::pem(&key, &identity).expect("a CSR");
        let issued = self.ca.issue(token, &csr, Some(HOUR)).await;
        (identity, key, issued)
    }

    async fn is(&self, wanted: Reachability) -> Result<()> {
        let mut reachability = self.ca.reachability();
        let is = timeout(SEEN, reachability.wait_for(|now| *now == wanted)).await;
        is.with_context(|| format!("it is never {wanted:?}"))??;
        Ok(())
    }

    pub(super) fn must_have_been_asked(&self, path: &str, times: usize) -> Result<()> {
        let counted = self.scene.openbao.count(path)?;
        ensure!(counted == times, "asked {counted} times for {path}, and not {times}");
        Ok(())
    }

    pub(super) async fn is_asked(&self, path: &str, times: usize) -> Result<()> {
        let asked = async || (self.scene.openbao.count(path).ok()? >= times).then_some(());
        poll::until(Instant::now() + START, poll::PACE, asked)
            .await
            .with_context(|| format!("asked too seldom for {path}"))?;
        self.must_have_been_asked(path, times)
    }

    /// As when the agent stops.
    pub(super) async fn end(&mut self) -> Result<()> {
        self.stop.cancel();
        let ended = timeout(START, self.keeper.join_next()).await.context("it does not end")?;
        Ok(ended.context("it never ran")??)
    }
}

/// An agent in this process.
pub(super) struct Agent {
    socket: std::path::PathBuf,
    _running: JoinSet<()>,
}

impl Agent {
    pub(super) async fn start(vault: &Vault) -> Result<Self> {
        let config = configuration(&vault.scene, &vault.access, "agent")?;
        let socket = config.sockets.first().context("no socket")?.path.clone();
        let clock = Arc::new(SystemClock);
        let process = Process::start(config, METRICS.clone(), clock, CancellationToken::new()).await?;
        let mut running = JoinSet::new();
        running.spawn(process.run());
        Ok(Self { socket, _running: running })
    }

    pub(super) async fn stream(&self, token: Token) -> Result<SecretStream> {
        let credential = Credential { header: "authorization".to_owned(), token };
        let client = SdsClient::connect(&self.socket).await?;
        Ok(client.stream(&["default"], &[credential]).await?)
    }
}

/// One recorder serves a process.
static METRICS: LazyLock<Metrics> = LazyLock::new(|| install_metrics().expect("no other recorder"));

fn configuration(scene: &Scene, access: &VaultAccess, name: &str) -> Result<Config> {
    let configuration = json!({
        "identity": {"trust_domain": trust_domain()?.as_str()},
        "ca": {"kind": "vault"},
        "vault": access.section(),
        "socket": [{"path": scene.stage.directory().join(format!("{name}.sock"))}],
        "operations": {"listen": "127.0.0.1:0"},
    });
    let file = scene.stage.write(&format!("{name}.toml"), &toml::to_string(&configuration)?)?;
    Config::load(Some(&file)).map_err(|faults| anyhow!("{faults}"))
}
