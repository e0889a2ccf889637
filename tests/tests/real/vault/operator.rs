//! What an operator is given and told: what `vault setup --print` prints, applied to a real OpenBao, is all that is
//! needed there, and `vault check` finds each thing that is wrong.

mod check;
mod kubernetes;
mod setup;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io::Write};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signet::stage::openbao::{PKI_MOUNT, VaultAccess};
use signet::stage::{Programs, trust_domain};
use signet_tests::command::Said;
use signet_tests::openbao;

use super::Scene;

/// A program that is asked about Vault.
struct Asked {
    program: PathBuf,
    /// The file that it is configured by, and what stands in it.
    file: PathBuf,
    configuration: String,
    /// For `check`.
    token_file: Option<PathBuf>,
}

impl Asked {
    fn a_ca(scene: &Scene, programs: &Programs, kind: &str, access: VaultAccess) -> Result<Self> {
        let configuration = json!({
            "identity": {"trust_domain": trust_domain()?.as_str(), "dns_names": ["localhost"]},
            "issuing": {"max_lifetime": "1h"},
            "authority": {"kind": kind},
            "vault": access.section(),
        });
        let file = scene.stage.directory().join("asked.toml");
        let configuration = toml::to_string(&configuration)?;
        Ok(Self { program: programs.ca()?, file, configuration, token_file: None })
    }

    fn an_agent(scene: &Scene, programs: &Programs, access: VaultAccess, token: &Path) -> Result<Self> {
        let configuration = json!({
            "identity": {"trust_domain": trust_domain()?.as_str()},
            "ca": {"kind": "vault"},
            "vault": access.section(),
        });
        let file = scene.stage.directory().join("asked.toml");
        let configuration = toml::to_string(&configuration)?;
        Ok(Self { program: programs.node_agent()?, file, configuration, token_file: Some(token.to_owned()) })
    }

    fn check(&self) -> Result<Said> {
        let file = self.token_file.iter().flat_map(|file| [Path::new("--token-file"), file.as_path()]);
        let mut command = self.command()?;
        Said::of(command.args(["vault", "check"]).args(file).output()?)
    }

    /// Has the shell run what is printed.
    fn set_up(&self, scene: &Scene) -> Result<()> {
        let keys = scene.stage.write("token-keys.pem", scene.issuer.public_key_pem())?;
        let keys = keys.to_str().context("a path that is no text")?;
        self.apply(scene, &[("TOKEN_ISSUER", scene.issuer.url()), ("TOKEN_KEYS", keys)])
    }

    fn apply(&self, scene: &Scene, variables: &[(&str, &str)]) -> Result<()> {
        let printed = self.command()?.args(["vault", "setup", "--print"]).output()?;
        let printed = Said::of(printed)?.must(0, &["policy write"])?;
        keeps_secrets(scene, &printed)?;
        let [root, _] = scene.openbao.secrets();
        let mut shell = Command::new("sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .env("VAULT_CLI", openbao()?)
            .env("VAULT_ADDR", scene.openbao.url())
            .env("VAULT_CACERT", scene.openbao.authority())
            .env("VAULT_TOKEN", root)
            .env("CLIENT_CA", scene.openbao.authority())
            .env("CLIENT_NAME", "signet-ca-at-vault")
            // Of the stage's own policies and roles, which are not to the letter what is printed.
            .env("SIGNET_REPLACE", "yes")
            .envs(variables.iter().copied())
            .spawn()?;
        shell.stdin.take().context("no stdin")?.write_all(printed.answer.as_bytes())?;
        let output = shell.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{said}\n{}", printed.answer);
        Ok(())
    }

    fn command(&self) -> Result<Command> {
        fs::write(&self.file, &self.configuration)?;
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.file);
        Ok(command)
    }
}

/// Lets a CA's token read roles and ask what it may, beside what the policy says.
async fn may_look(scene: &Scene) -> Result<()> {
    may_look_as(scene, "signet-ca").await
}

async fn may_look_as(scene: &Scene, policy: &str) -> Result<()> {
    let path = format!("sys/policies/acl/{policy}");
    let rules = scene.openbao.read(&path).await?;
    let rules = rules.pointer("/data/policy").and_then(Value::as_str).context("no policy")?;
    let more = format!(
        "{rules}\npath \"{PKI_MOUNT}/roles/+\" {{ capabilities = [\"read\"] }}\n\
         path \"sys/capabilities-self\" {{ capabilities = [\"update\"] }}\n"
    );
    scene.openbao.write(&path, &json!({"policy": more})).await.map(drop)
}

/// Neither the operator's secrets nor what the CA logs in with.
fn keeps_secrets(scene: &Scene, said: &Said) -> Result<()> {
    let files =
        ["vault-jwt", "vault-secret-id", "vault-token"].map(|name| scene.stage.directory().join(name));
    let held = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    for secret in held.chain(scene.openbao.secrets().map(str::to_owned)) {
        ensure!(!said.notes.contains(&secret) && !said.answer.contains(&secret), "a secret is told");
    }
    Ok(())
}
