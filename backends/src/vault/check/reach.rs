//! Whether somebody is there, and awake: `sys/health` of each address, without a token or a namespace.

use reqwest::Url;
use rustify::enums::RequestMethod;
use serde::Deserialize;
use signet_runtime::telemetry::chain;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{
    super::{VaultConfig, answer::Raw, error::sanitised, request::Request, transport::Transport},
    finding::{Findings, Verdict},
};

/// Tells of each address. Whether any serves.
pub(super) async fn try_all(config: &VaultConfig, findings: &mut Findings<'_>) -> bool {
    // Below a namespace the path is not available.
    let config = VaultConfig { namespace: None, ..config.clone() };
    let transport = match Transport::new(&config) {
        Ok(transport) => transport,
        Err(error) => {
            findings.fault("reach", chain(&error).to_string());
            return false;
        }
    };
    let mut said = Vec::new();
    for address in &config.addresses {
        said.push(health(&transport, address, &config).await);
    }
    let serves = said.iter().any(|(verdict, _)| *verdict < Verdict::Fault);
    for (verdict, text) in said {
        match verdict {
            Verdict::Holds => findings.holds("reach", text),
            // A node of a cluster may be away, as long as another serves.
            Verdict::Fault if !serves => findings.fault("reach", text),
            Verdict::Hint | Verdict::Fault => findings.hint("reach", text),
        }
    }
    serves
}

async fn health(transport: &Transport, address: &Url, config: &VaultConfig) -> (Verdict, String) {
    let request =
        Request { method: RequestMethod::GET, path: "sys/health".to_owned(), body: Zeroizing::default() };
    // The transport gives it `vault.timeout`, to the letter.
    let deadline = Instant::now() + 2 * config.timeout;
    match transport.exchange(address, &request, None, deadline).await {
        Ok(answer) => judge(address, &answer),
        Err(error) => (Verdict::Fault, chain(&error).to_string()),
    }
}

#[derive(Deserialize)]
struct Health {
    version: String,
}

/// By the status, which says everything (`sys/health` of both products; 472 and 473 are Vault Enterprise's).
fn judge(address: &Url, answer: &Raw) -> (Verdict, String) {
    let version = serde_json::from_slice(&answer.body)
        .map_or_else(|_| String::new(), |Health { version }| format!(" (version {})", sanitised(&version)));
    let is = |what: &str| format!("{address}{version} is {what}");
    match answer.status.as_u16() {
        200 => (Verdict::Holds, is("unsealed and active")),
        429 | 472 | 473 => (Verdict::Holds, is("a standby, which passes requests on to the active node")),
        501 => (Verdict::Fault, is("not initialised (`vault operator init`)")),
        503 => (Verdict::Fault, is("sealed (`vault operator unseal`)")),
        status => (
            Verdict::Hint,
            format!("{address} does not say how it is (HTTP status {status}): is it a Vault, and all of it?"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::{StatusCode, header::HeaderMap};

    use super::*;

    #[test]
    fn the_status_tells_how_it_is() {
        let address = Url::parse("https://vault.test:8200/").unwrap();
        for (status, verdict, said) in [
            (200, Verdict::Holds, "unsealed and active"),
            (429, Verdict::Holds, "a standby"),
            (473, Verdict::Holds, "a standby"),
            (501, Verdict::Fault, "not initialised (`vault operator init`)"),
            (503, Verdict::Fault, "(version 2.4.0) is sealed (`vault operator unseal`)"),
            (404, Verdict::Hint, "is it a Vault"),
        ] {
            let answer = Raw {
                status: StatusCode::from_u16(status).unwrap(),
                headers: HeaderMap::new(),
                body: Zeroizing::new(br#"{"version":"2.4.0","sealed":true}"#.to_vec()),
            };
            let (found, text) = judge(&address, &answer);
            assert_eq!(found, verdict, "{status}: {text}");
            assert!(text.contains(said), "{status}: {text}");
        }
    }
}
