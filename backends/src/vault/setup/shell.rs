//! As commands.

use std::fmt::Write;

use serde_json::Value;

use super::{Settings, Signs, VaultSetup, login::LoginRole};
use crate::vault::AuthMethod;

pub(super) fn print(setup: &VaultSetup<'_>) -> String {
    let mut text = String::from(HEAD);
    if let Some(namespace) = &setup.config.namespace {
        let _ = writeln!(text, "export VAULT_NAMESPACE={}", quoted(namespace));
    }
    let rules: Vec<String> = setup.rules().iter().map(super::Rule::text).collect();
    let (name, rules, mount) = (setup.name(), rules.join("\n"), &setup.config.auth.mount);
    let _ = write!(
        text,
        r#"
# What it may do, and nothing else.
"$cli" policy write {name} - <<'END'
{rules}
END
"#
    );
    text.push_str(&login(setup));
    if matches!(setup.signs, Signs::Workloads { .. }) {
        let _ = write!(
            text,
            r#"
# Ties the SPIFFE ID to the service account of the token.
accessor=$("$cli" read -field=accessor sys/auth/{mount})
"#
        );
    }
    for role in setup.roles("${accessor}") {
        let path = format!("{}/roles/{}", setup.config.pki.mount, role.name);
        // Only of the templated role, where every other value is a name that has been checked.
        let end = if role.settings.contains_key("allowed_uri_sans_template") { "END" } else { "'END'" };
        text.push_str(&format!("\n{}", write_json(&path, &role.settings, end)));
    }
    text
}

fn login(setup: &VaultSetup<'_>) -> String {
    let (name, mount) = (setup.name(), &setup.config.auth.mount);
    let Some(role) = setup.login() else {
        return format!(
            r#"
# A token, into the file that `vault.auth.token_file` names; somebody has to keep it fresh:
# "$cli" token create -orphan -no-default-policy -policy={name} -period=24h -field=token
"#
        );
    };
    let (method, configured) = (role.method, configured(setup, &role.name));
    let written = match &setup.config.auth.method {
        AuthMethod::Cert { .. } => certificate_role(mount, &role),
        _ => write_json(&format!("auth/{mount}/role/{}", role.name), &role.settings, "'END'"),
    };
    let mut text = format!(
        r#"
# How it logs in. A method that is mounted already is left as it is.
if ! "$cli" read -field=accessor sys/auth/{mount} >/dev/null 2>&1; then
  "$cli" auth enable -path={mount} {method}
{configured}fi
{written}"#
    );
    if matches!(setup.config.auth.method, AuthMethod::AppRole { .. }) {
        let _ = write!(
            text,
            r#"# Into the files that `vault.auth.role_id_file` and `secret_id_file` name:
# "$cli" read -field=role_id auth/{mount}/role/{name}/role-id
# "$cli" write -f -field=secret_id auth/{mount}/role/{name}/secret-id
"#
        );
    }
    text
}

fn certificate_role(mount: &str, role: &LoginRole) -> String {
    let pairs = role.settings.iter().map(|(key, value)| format!(" \\\n  {key}={}", quoted(&flat(value))));
    let (name, pairs) = (quoted(&role.name), pairs.collect::<String>());
    format!(
        r#""$cli" write auth/{mount}/certs/{name} \
  certificate=@"${{CLIENT_CA:?a PEM file with the authority of the client certificate}}" \
  allowed_common_names="${{CLIENT_NAME:?the common name in it}}"{pairs}
"#
    )
}

/// What a method needs to know once.
fn configured(setup: &VaultSetup<'_>, role: &str) -> String {
    let mount = &setup.config.auth.mount;
    match &setup.config.auth.method {
        AuthMethod::Kubernetes { .. } => format!(
            r#"  # Whoever has tokens reviewed must be allowed to create tokenreviews (system:auth-delegator). In the cluster
  # that is Vault's own service account. A Vault outside of it is told where the API server is and under which
  # authority, and given a token: not one that logs in here, for what is meant for Vault is not for the API server.
  if [ -n "${{KUBERNETES_CA:-}}" ]; then
    "$cli" write auth/{mount}/config disable_local_ca_jwt=true \
      kubernetes_host="${{KUBERNETES_HOST:?the API server, as Vault reaches it}}" \
      kubernetes_ca_cert=@"$KUBERNETES_CA" \
      token_reviewer_jwt=@"${{KUBERNETES_REVIEWER:?a file with a token for the API server}}"
  else
    "$cli" write auth/{mount}/config \
      kubernetes_host="${{KUBERNETES_HOST:-https://kubernetes.default.svc}}"
  fi
"#
        ),
        AuthMethod::Jwt { role: named, .. } => {
            let issuer = match setup.token_issuer() {
                Some(issuer) => format!("TOKEN_ISSUER=${{TOKEN_ISSUER:-{}}}", quoted(&issuer)),
                None => r#": "${TOKEN_ISSUER:?the iss of the cluster's service-account tokens}""#.to_owned(),
            };
            let default = match named {
                None => format!(" default_role={}", quoted(role)),
                Some(_) => String::new(),
            };
            format!(
                r#"  {issuer}
  # Its keys: out of a PEM file, or by OIDC discovery.
  if [ -n "${{TOKEN_KEYS:-}}" ]; then
    "$cli" write auth/{mount}/config bound_issuer="$TOKEN_ISSUER"{default} \
      jwt_validation_pubkeys=@"$TOKEN_KEYS"
  else
    "$cli" write auth/{mount}/config bound_issuer="$TOKEN_ISSUER"{default} \
      oidc_discovery_url="$TOKEN_ISSUER"
  fi
"#
            )
        }
        AuthMethod::AppRole { .. } | AuthMethod::Cert { .. } | AuthMethod::TokenFile { .. } => String::new(),
    }
}

fn write_json(path: &str, settings: &Settings, end: &str) -> String {
    let json = serde_json::to_string_pretty(settings).unwrap_or_default();
    format!("\"$cli\" write {} - <<{end}\n{json}\nEND\n", quoted(path))
}

/// A value as `key=value` takes it.
fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(flat).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// One word for the shell, whatever is in it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

const HEAD: &str = "#!/bin/sh
# What Vault or OpenBao needs for Signet. Read it, then run it as somebody who may write policies, roles and
# login methods there, with VAULT_ADDR and VAULT_TOKEN set. It can be run again. It holds no secret.
set -eu
cli=${VAULT_CLI:-$(command -v bao || command -v vault)}
";
