//! What a role of the PKI says, held against what is asked of it.

use std::time::Duration;

use rustify::enums::RequestMethod;
use serde::Deserialize;
use signet_identity::SpiffeId;
use signet_runtime::telemetry::chain;
use zeroize::Zeroizing;

use super::{
    super::{VaultError, VaultSession, request::Request},
    Scope, Wanted,
    finding::{Findings, Verdict, days},
    patience,
};

/// What matters of a role. Times are in seconds, 0 is the mount's.
#[derive(Debug, Clone, Deserialize)]
struct Role {
    #[serde(default)]
    key_type: String,
    #[serde(default)]
    key_bits: u32,
    #[serde(default)]
    require_cn: bool,
    #[serde(default)]
    use_csr_sans: bool,
    #[serde(default)]
    use_csr_common_name: bool,
    #[serde(default)]
    allowed_uri_sans: Vec<String>,
    #[serde(default)]
    allowed_uri_sans_template: bool,
    #[serde(default)]
    server_flag: bool,
    #[serde(default)]
    client_flag: bool,
    #[serde(default)]
    key_usage: Vec<String>,
    #[serde(default)]
    basic_constraints_valid_for_non_ca: bool,
    #[serde(default)]
    no_store: bool,
    #[serde(default)]
    generate_lease: bool,
    #[serde(default)]
    max_ttl: u64,
}

/// Reads the role, if the token may, and tells what it says. Whether signing is worth an attempt.
pub(super) async fn read(session: &VaultSession, wanted: &Wanted<'_>, findings: &mut Findings<'_>) -> bool {
    let Wanted { step, role: name, .. } = *wanted;
    let request = Request {
        method: RequestMethod::GET,
        path: format!("{}/roles/{name}", session.client().config().pki.mount),
        body: Zeroizing::default(),
    };
    let answer = session.ask::<Role>(&request, patience(session.client())).await;
    let role = match answer.and_then(|answer| answer.required(&request.path)) {
        Ok(role) => role,
        Err(VaultError::Denied { .. }) => {
            let text = format!("the token may not read role {name}, as is right: what it signs will tell");
            findings.holds(step, text);
            return true;
        }
        Err(VaultError::NoSuchPath { .. }) => {
            findings.fault(
                step,
                format!("role {name} is not there: create it (`vault setup --print`), or set `vault.role` or `vault.serving_role`"),
            );
            return false;
        }
        Err(error) => {
            findings.hint(step, format!("role {name} cannot be read: {}", chain(&error)));
            return true;
        }
    };
    let told = judge(&role, wanted);
    let worst = told.iter().map(|(verdict, _)| *verdict).max().unwrap_or(Verdict::Holds);
    for (verdict, text) in told {
        let text = format!("role {name}: {text}");
        match verdict {
            Verdict::Fault => findings.fault(step, text),
            Verdict::Hint | Verdict::Holds => findings.hint(step, text),
        }
    }
    if worst == Verdict::Holds {
        findings.holds(step, format!("role {name} says what it should"));
    }
    worst < Verdict::Fault
}

/// Everything that is wrong with a role, and what could be better.
fn judge(role: &Role, wanted: &Wanted<'_>) -> Vec<(Verdict, String)> {
    let mut told = Vec::new();
    let mut fault = |text: String| told.push((Verdict::Fault, text));
    match role.key_type.as_str() {
        "any" => {}
        "ec" if role.key_bits <= 256 => {}
        "ec" => fault(format!("key_bits={} (want 256, or 0): the keys are EC P-256", role.key_bits)),
        other => fault(format!("key_type={other} (want any, or ec): the keys are EC P-256")),
    }
    if role.require_cn {
        fault("require_cn=true (want false): a SPIFFE ID is the only name".to_owned());
    }
    if role.use_csr_sans {
        fault(
            "use_csr_sans=true (want false): only what is approved may be signed, whatever a CSR asks for"
                .to_owned(),
        );
    }
    if !(role.server_flag && role.client_flag) {
        fault(
            "server_flag or client_flag is false (want both true): an SVID serves both ends of TLS"
                .to_owned(),
        );
    }
    if let Some(text) = judge_uris(role, &wanted.identity) {
        fault(text);
    }
    if wanted.scope == Scope::Own && !role.allowed_uri_sans.iter().any(|uri| uri.contains(TEMPLATE)) {
        fault(
            "no template in allowed_uri_sans: any workload could be any other (`signet-node-agent vault setup --print`)"
                .to_owned(),
        );
    }
    let max_ttl = Duration::from_secs(role.max_ttl);
    if let Some((lifetime, key)) = wanted.lifetime
        && !max_ttl.is_zero()
        && max_ttl < lifetime
    {
        fault(format!(
            "max_ttl={}, below {key} ({}): Vault would cut every certificate; raise the one or lower the other",
            days(max_ttl),
            days(lifetime)
        ));
    }
    told.extend(hints(role).into_iter().map(|text| (Verdict::Hint, text.to_owned())));
    told
}

fn judge_uris(role: &Role, identity: &SpiffeId) -> Option<String> {
    if role.allowed_uri_sans.iter().any(|uri| uri.contains(TEMPLATE)) {
        return (!role.allowed_uri_sans_template).then(|| {
            "allowed_uri_sans has a template, and allowed_uri_sans_template is false (want true)".to_owned()
        });
    }
    (!role.allowed_uri_sans.iter().any(|glob| admits(glob, identity.as_str()))).then(|| {
        format!("allowed_uri_sans={:?} does not admit the SPIFFE ID {identity}", role.allowed_uri_sans)
    })
}

/// What works, and could be better.
fn hints(role: &Role) -> Vec<&'static str> {
    let mut hints = Vec::new();
    if !role.no_store {
        hints.push("no_store=false (better true): Vault stores every certificate, which is slow and fills its storage");
    }
    if role.generate_lease {
        hints.push("generate_lease=true (better false): a lease for every certificate is slow");
    }
    if role.use_csr_common_name {
        hints.push("use_csr_common_name=true (better false): a CSR could put a subject into its certificate");
    }
    // As Vault writes it, however it was given.
    if role.key_usage != ["DigitalSignature"] {
        hints.push("key_usage is not DigitalSignature alone, as in Signet's own certificates");
    }
    if !role.basic_constraints_valid_for_non_ca {
        hints.push(
            "basic_constraints_valid_for_non_ca=false (better true): Signet's own certificates say CA:FALSE",
        );
    }
    hints
}

/// Whether a glob of Vault's, in which `*` is any text, `/` included, admits `text`.
fn admits(glob: &str, text: &str) -> bool {
    let Some((first, rest)) = glob.split_once('*') else { return glob == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(last)
}

/// What Vault replaces by what it knows of whoever asks.
const TEMPLATE: &str = "{{";

#[cfg(test)]
mod tests;
