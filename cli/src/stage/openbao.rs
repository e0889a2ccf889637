//! A real OpenBao, or a Vault, and its operator, who starts, seals, kills and configures it.
//!
//! It keeps its data in files and is sealed whenever it starts, as in production. It listens twice: over TLS, with a
//! certificate of an authority of its own, and over plain HTTP for whoever stands between it and its clients.

mod audit;
mod kubernetes;
mod login;
mod operator;
mod pki;

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

pub use audit::Asked;
pub use kubernetes::CA_ACCOUNT;
pub(super) use login::merge;
pub use login::{VAULT_AUDIENCE, VaultAccess};
use operator::Operator;
pub use pki::{OWN_IDENTITY_ROLE, PKI_MOUNT, Role, SERVING_ROLE, WORKLOAD_ROLE};

use super::secret::Secret;
use super::tls_authority::TlsAuthority;
use super::{Process, Program, Stage, poll};

/// A cold start on a machine that is busy with other things.
const START: Duration = Duration::from_secs(60);

/// A running OpenBao. Nothing of it is left when its stage is dropped.
#[derive(Debug)]
pub struct OpenBao {
    program: Program,
    process: Process,
    operator: Operator,
    unseal_key: Secret,
    tls: TlsAuthority,
    doors: Doors,
    audit_log: PathBuf,
}

/// Its ports on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
struct Doors {
    tls: u16,
    plain: u16,
}

impl OpenBao {
    /// Starts it with nothing in it, unsealed, and with an audit log.
    pub async fn start(stage: &Stage, executable: &Path) -> Result<Self> {
        let tls = TlsAuthority::new(stage, NAME)?;
        let doors = Doors { tls: stage.free_port()?, plain: stage.free_port()? };
        let configuration = configuration(stage, &tls, doors)?;
        let program = Program::new(NAME, executable)
            .argument("server")
            .argument(format!("-config={}", configuration.display()));
        let mut process = stage.start(&program)?;
        let mut operator = Operator::new(doors.tls, &tls)?;
        process.until("listening", START, async || operator.health().await).await?;
        let initialised =
            operator.write("sys/init", &json!({"secret_shares": 1, "secret_threshold": 1})).await?;
        let unseal_key = secret(&initialised, "/keys_base64/0")?;
        operator.becomes(secret(&initialised, "/root_token")?);
        let audit_log = stage.directory().join("openbao-audit.jsonl");
        let openbao = Self { program, process, operator, unseal_key, tls, doors, audit_log };
        openbao.secrets().into_iter().for_each(|secret| stage.secrets().add(secret));
        openbao.unseal().await?;
        openbao.start_audit().await?;
        Ok(openbao)
    }

    /// Its address over TLS.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.doors.tls)
    }

    /// The port of 127.0.0.1 on which it speaks plain HTTP.
    pub fn plain_port(&self) -> u16 {
        self.doors.plain
    }

    /// The file with the authority that its certificate is from.
    pub fn authority(&self) -> &Path {
        self.tls.file()
    }

    /// Writes as its operator: what `bao write` does. Answers what it does.
    pub async fn write(&self, path: &str, what: &Value) -> Result<Value> {
        self.operator.write(path, what).await
    }

    /// Reads as its operator.
    pub async fn read(&self, path: &str) -> Result<Value> {
        self.operator.read(path).await
    }

    /// Seals it: it answers everybody 503 from now on, and forgets the key to its data.
    pub async fn seal(&self) -> Result<()> {
        self.write("sys/seal", &json!({})).await.map(drop)
    }

    /// Unseals it, and waits until it is active.
    pub async fn unseal(&self) -> Result<()> {
        let answer = self.write("sys/unseal", &json!({"key": self.unseal_key.expose()})).await?;
        ensure!(answer.get("sealed") == Some(&Value::Bool(false)), "it is still sealed");
        let deadline = tokio::time::Instant::now() + START;
        let is_active = async || (self.operator.health().await? == ACTIVE).then_some(());
        poll::until(deadline, poll::PACE, is_active).await.context("it is unsealed and not active")
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.process.kill()
    }

    /// Starts it again, with its data, after it has ended. It is sealed then.
    pub async fn start_again(&mut self, stage: &Stage) -> Result<()> {
        self.process.kill()?;
        self.process = stage.start(&self.program)?;
        let operator = &self.operator;
        self.process.until("listening", START, async || operator.health().await).await.map(drop)
    }

    /// Revokes every token that a login method at this mount has given, at once.
    pub async fn revoke_logins(&self, mount: &str) -> Result<()> {
        self.write(&format!("sys/leases/revoke-prefix/auth/{mount}"), &json!({})).await.map(drop)
    }

    /// Lets each path below `path` be asked so often a second and no more, by anybody, and says so in its answers.
    pub async fn limit_rate(&self, path: &str, a_second: u32) -> Result<()> {
        self.write("sys/quotas/config", &json!({"enable_rate_limit_response_headers": true})).await?;
        let quota = json!({"path": path, "rate": a_second, "interval": "1s"});
        self.write("sys/quotas/rate-limit/stage", &quota).await.map(drop)
    }

    /// What nobody may find in any log: the operator's own secrets.
    pub fn secrets(&self) -> [&str; 2] {
        [self.operator.token(), self.unseal_key.expose()]
    }
}

/// Listeners, storage, and an audit log that can be asked for: an OpenBao is told that by default only its
/// configuration may name one, a Vault knows only the other way.
fn configuration(stage: &Stage, tls: &TlsAuthority, doors: Doors) -> Result<PathBuf> {
    let pair = tls.issue(stage, NAME)?;
    let configuration = json!({
        "storage": {"file": {"path": stage.directory().join("openbao")}},
        "listener": [
            {"tcp": {
                "address": format!("127.0.0.1:{}", doors.tls),
                "tls_cert_file": pair.certificate,
                "tls_key_file": pair.key,
            }},
            {"tcp": {"address": format!("127.0.0.1:{}", doors.plain), "tls_disable": true}},
        ],
        "api_addr": format!("https://127.0.0.1:{}", doors.tls),
        "unsafe_allow_api_audit_creation": true,
        // Of a Vault, which may not lock memory where it is started by any user.
        "disable_mlock": true,
    });
    stage.write("openbao.json", &configuration.to_string())
}

fn secret(answer: &Value, pointer: &str) -> Result<Secret> {
    let text = answer.pointer(pointer).and_then(Value::as_str);
    Ok(Secret::new(text.with_context(|| format!("sys/init answered without {pointer}"))?))
}

const NAME: &str = "openbao";
/// What `sys/health` answers when it serves.
const ACTIVE: u16 = 200;
