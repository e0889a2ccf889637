//! What the token's policies allow, as far as it may ask: `sys/capabilities-self`.

use std::collections::BTreeMap;

use rustify::enums::RequestMethod;
use serde_json::{Value, json};
use signet_runtime::telemetry::chain;
use zeroize::Zeroizing;

use super::{
    super::{VaultError, VaultSession, request::Request},
    finding::Findings,
    patience, refusal,
};

/// Whether a path may be asked to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    Granted,
    Missing,
    /// The attempt will tell.
    Unknown,
}

pub(super) async fn ask(session: &VaultSession, path: &str, findings: &mut Findings<'_>) -> Permission {
    let request = Request {
        method: RequestMethod::POST,
        path: "sys/capabilities-self".to_owned(),
        body: Zeroizing::new(json!({"paths": [path]}).to_string().into_bytes()),
    };
    let answer = session.ask::<BTreeMap<String, Value>>(&request, patience(session.client())).await;
    match answer.map(|answer| answer.data.unwrap_or_default()) {
        Ok(capabilities) => {
            let may = |capability| {
                let all = capabilities.get(path).and_then(Value::as_array);
                all.is_some_and(|all| all.iter().any(|one| one == capability))
            };
            if may("root") {
                findings.hint("policy", format!("the token may do anything; {path} is all that it needs"));
                Permission::Granted
            } else if may("update") {
                findings.holds("policy", format!("the token may ask {path}"));
                Permission::Granted
            } else {
                findings.fault("policy", refusal::lacks(path));
                Permission::Missing
            }
        }
        // As is right: that takes Vault's `default` policy, which a CA does not need.
        Err(VaultError::Denied { .. }) => Permission::Unknown,
        Err(error) => {
            findings.hint("policy", format!("what the token may do is not known: {}", chain(&error)));
            Permission::Unknown
        }
    }
}
