//! A real Kubernetes API server over a real etcd, without nodes: what service accounts, their tokens and the review of
//! tokens take.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};
use rcgen::KeyPair;
use reqwest::Method;
use serde_json::{Value, json};

use super::openbao::merge;
use super::rest::Rest;
use super::secret::Secret;
use super::tls_authority::TlsAuthority;
use super::{Process, Program, Stage, http};

/// A cold start of either on a machine that is busy with other things.
const START: Duration = Duration::from_secs(60);

/// A running API server. Nothing of it is left when its stage is dropped.
#[derive(Debug)]
pub struct Kubernetes {
    program: Program,
    process: Process,
    _etcd: Process,
    port: u16,
    admin: Admin,
    tls: TlsAuthority,
}

/// What runs.
#[derive(Debug)]
pub struct KubernetesPrograms {
    /// The API server.
    pub api_server: PathBuf,
    /// Where it keeps its data.
    pub etcd: PathBuf,
}

/// A service account, by its name in its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceAccount<'a> {
    /// Where it is.
    pub namespace: &'a str,
    /// What it is called there.
    pub name: &'a str,
}

impl Kubernetes {
    /// Starts both, with nothing in them but what Kubernetes makes itself.
    pub async fn start(stage: &Stage, programs: &KubernetesPrograms) -> Result<Self> {
        let (etcd, data) = start_etcd(stage, &programs.etcd).await?;
        let tls = TlsAuthority::new(stage, NAME)?;
        let port = stage.free_port()?;
        let token = Secret::random()?;
        stage.secrets().add(token.expose());
        let program =
            api_server(stage, &programs.api_server, Place { port, data, tls: &tls, token: &token })?;
        let process = stage.start(&program)?;
        let admin = Admin { server: Rest::new("Kubernetes", port, &tls)?, token };
        let mut kubernetes = Self { program, process, _etcd: etcd, port, admin, tls };
        kubernetes.ready().await?;
        Ok(kubernetes)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The file with the authority that its certificate is from.
    pub fn authority(&self) -> &Path {
        self.tls.file()
    }

    /// Makes a service account and its namespace, as far as they are not there.
    pub async fn create(&self, account: ServiceAccount<'_>) -> Result<()> {
        let ServiceAccount { namespace, name } = account;
        self.admin.provide("api/v1/namespaces", namespace, json!({})).await?;
        let accounts = format!("api/v1/namespaces/{namespace}/serviceaccounts");
        self.admin.provide(&accounts, name, json!({})).await
    }

    /// Deletes a service account: none of its tokens counts any more. One that has been reviewed in the last ten
    /// seconds does until these are over.
    pub async fn delete(&self, account: ServiceAccount<'_>) -> Result<()> {
        self.admin.ask(Method::DELETE, &account.path(), None).await.map(drop)
    }

    /// Lets it have tokens reviewed.
    pub async fn let_review(&self, account: ServiceAccount<'_>) -> Result<()> {
        let ServiceAccount { namespace, name } = account;
        let binding = json!({
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:auth-delegator",
            },
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
        });
        let bindings = "apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
        self.admin.provide(bindings, &format!("{namespace}:{name}"), binding).await
    }

    /// A token of a service account, for an hour and for this audience. It is a secret of `stage`.
    pub async fn token(&self, stage: &Stage, account: ServiceAccount<'_>, audience: &str) -> Result<String> {
        let request = json!({"spec": {"audiences": [audience], "expirationSeconds": LIFETIME.as_secs()}});
        let answer = self.admin.create(&format!("{}/token", account.path()), &request).await?;
        let token = answer.pointer("/status/token").and_then(Value::as_str).context("no token")?;
        stage.secrets().add(token);
        Ok(token.to_owned())
    }

    /// SIGKILL to the API server. Its data stays.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.process.kill()
    }

    /// Starts it again, with its data, and waits until it is ready.
    pub async fn start_again(&mut self, stage: &Stage) -> Result<()> {
        self.process.kill()?;
        self.process = stage.start(&self.program)?;
        self.ready().await
    }

    /// Whether the API server runs no more.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.process.ended(), Ok(None))
    }

    async fn ready(&mut self) -> Result<()> {
        let server = &self.admin.server;
        let is_ready = async || (server.status("readyz").await? == READY).then_some(());
        self.process.until("ready", START, is_ready).await
    }
}

impl ServiceAccount<'_> {
    fn path(self) -> String {
        format!("api/v1/namespaces/{}/serviceaccounts/{}", self.namespace, self.name)
    }
}

/// Who may do everything.
#[derive(Debug)]
struct Admin {
    server: Rest,
    token: Secret,
}

impl Admin {
    /// Makes an object of this name, unless there is one.
    async fn provide(&self, objects: &str, name: &str, mut object: Value) -> Result<()> {
        if self.ask(Method::GET, &format!("{objects}/{name}"), None).await.is_ok() {
            return Ok(());
        }
        merge(&mut object, json!({"metadata": {"name": name}}));
        self.create(objects, &object).await.map(drop)
    }

    async fn create(&self, path: &str, what: &Value) -> Result<Value> {
        self.ask(Method::POST, path, Some(what)).await
    }

    async fn ask(&self, method: Method, path: &str, what: Option<&Value>) -> Result<Value> {
        let bearer = format!("Bearer {}", self.token.expose());
        self.server.ask(method, path, ("Authorization", &bearer), what).await
    }
}

/// With its address. Only this machine can reach it, and it knows no password.
async fn start_etcd(stage: &Stage, executable: &Path) -> Result<(Process, String)> {
    let (clients, peers) = (stage.free_port()?, stage.free_port()?);
    let [at_clients, at_peers] = [clients, peers].map(|port| format!("http://127.0.0.1:{port}"));
    let program = [
        "--name=stage".to_owned(),
        format!("--data-dir={}", stage.directory().join("etcd").display()),
        format!("--listen-client-urls={at_clients}"),
        format!("--advertise-client-urls={at_clients}"),
        format!("--listen-peer-urls={at_peers}"),
        format!("--initial-advertise-peer-urls={at_peers}"),
        format!("--initial-cluster=stage={at_peers}"),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
    .into_iter()
    .fold(Program::new("etcd", executable), Program::argument);
    let mut process = stage.start(&program)?;
    let is_healthy =
        async || http::get(clients, "/health").await.is_ok_and(|answer| answer.status.is_success());
    process.until("healthy", START, async || is_healthy().await.then_some(())).await?;
    Ok((process, at_clients))
}

/// Where an API server stands.
struct Place<'a> {
    port: u16,
    data: String,
    tls: &'a TlsAuthority,
    /// Of whoever may do everything.
    token: &'a Secret,
}

fn api_server(stage: &Stage, executable: &Path, place: Place<'_>) -> Result<Program> {
    let Place { port, data, tls, token } = place;
    let pair = tls.issue(stage, NAME)?;
    let issuer = KeyPair::generate()?;
    let signs = stage.write_private("service-accounts.key", &issuer.serialize_pem())?;
    let verifies = stage.write("service-accounts.pub", &issuer.public_key_pem())?;
    let admin = format!("{},admin,admin,system:masters\n", token.expose());
    let admins = stage.write_private("kubernetes-admins.csv", &admin)?;
    let program = [
        format!("--etcd-servers={data}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--tls-cert-file={}", pair.certificate.display()),
        format!("--tls-private-key-file={}", pair.key.display()),
        format!("--token-auth-file={}", admins.display()),
        "--authorization-mode=RBAC".to_owned(),
        format!("--service-account-issuer=https://127.0.0.1:{port}"),
        format!("--service-account-signing-key-file={}", signs.display()),
        format!("--service-account-key-file={}", verifies.display()),
        format!("--api-audiences={API_AUDIENCE}"),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        // Nobody is to find it by a Service.
        "--endpoint-reconciler-type=none".to_owned(),
    ]
    .into_iter()
    .fold(Program::new(NAME, executable), Program::argument);
    Ok(program)
}

const NAME: &str = "kube-apiserver";
/// What a token must be for to be shown to the API server itself: what most clusters call it.
pub(super) const API_AUDIENCE: &str = "https://kubernetes.default.svc";
/// What `/readyz` answers when it serves.
const READY: u16 = 200;
/// Of tokens: longer than any test.
const LIFETIME: Duration = Duration::from_secs(3600);
