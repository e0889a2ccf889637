//! What nobody may find in any output.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use rustify::enums::RequestMethod;
use serde_json::{Value, json};
use signet_runtime::telemetry::chain;
use tracing_subscriber::fmt::MakeWriter;
use zeroize::Zeroizing;

use super::{
    bao::Bao,
    between::{Act, Between},
    client, soon,
};
use crate::vault::{Login, VaultError, VaultSession, request::Request};

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Output {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

async fn ask(session: &VaultSession, path: &str) -> Result<(), VaultError> {
    let path = path.to_owned();
    let request = Request { method: RequestMethod::GET, path, body: Zeroizing::default() };
    session.ask::<Value>(&request, soon()).await.map(drop)
}

/// At the finest level, of every crate below us too: requests that succeed, and each kind that does not.
#[tokio::test]
async fn no_secret_is_in_any_log_line_error_or_debug_output() {
    let output = Output::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(output.clone())
        .with_ansi(false)
        .finish();
    // Of the whole process: what another test's thread asks first would else be off for this one too.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let bao = Bao::start().await;
    let auth = bao.accept_approle(json!({"token_ttl": "1h"})).await;
    let vault = Between::before(bao.port).await;
    let client = client(&[vault.port], &auth);
    let session = VaultSession::new(client.clone(), Login::Configured);
    ask(&session, "auth/token/lookup-self").await.unwrap();
    let [secret_id, token] = secrets(&bao, &vault);

    let mut errors = vec![ask(&session, "sys/mounts").await.unwrap_err()];
    for act in [
        Act::error(400, "", "no"),
        Act::error(501, "", "no"),
        Act::answer(200, "", "<html>"),
        Act::answer(307, "location: http://elsewhere.test/\r\n", ""),
    ] {
        vault.play(move |_, _| act.clone());
        errors.push(ask(&session, "sys/mounts").await.unwrap_err());
        let fresh = VaultSession::new(client.clone(), Login::Configured);
        errors.push(fresh.log_in(soon()).await.unwrap_err());
    }
    tracing::info!(?client, ?session, ?errors, config = ?client.config(), "all that has a form for developers");
    errors.iter().for_each(|error| tracing::info!(error = %chain(error), "and for operators"));

    let said = String::from_utf8_lossy(&output.0.lock().unwrap()).into_owned();
    assert!(said.contains("logged in at Vault") && said.contains("VaultSession"), "{said}");
    for (name, secret) in [("secret id", secret_id), ("token", token)] {
        let line = said.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "the {name} was said");
    }
}

/// What the login sent, and what it got.
fn secrets(bao: &Bao, vault: &Between) -> [String; 2] {
    let secret_id = std::fs::read_to_string(bao.directory.path().join("secret-id")).unwrap();
    let asked = vault.seen().pop().unwrap().head;
    let token = asked.split("x-vault-token: ").nth(1).and_then(|rest| rest.lines().next());
    assert!(vault.seen()[0].body.contains(&secret_id));
    [secret_id, token.unwrap().to_owned()]
}
