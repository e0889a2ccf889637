//! As commands.

use std::fmt::Write;

use serde_json::Value;

use super::{Settings, Signs, VaultSetup};
use crate::vault::AuthMethod;

pub(super) fn print(setup: &VaultSetup<'_>) -> String {
    let mut text = String::from(HEAD);
    if let Some(namespace) = &setup.config.namespace {
        let _ = writeln!(text, "export VAULT_NAMESPACE={}", quoted(namespace));
    }
    let rules: Vec<String> = setup.rules().iter().map(super::Rule::text).collect();
    let _ = write!(
        text,
        "\n# What it may do, and nothing else.\n\"$cli\" policy write {} - <<'END'\n{}\nEND\n",
        setup.name(),
        rules.join("\n")
    );
    text.push_str(&login(setup));
    if matches!(setup.signs, Signs::Workloads { .. }) {
        let _ = write!(
            text,
            "\n# Ties the SPIFFE ID to the service account of the token.\naccessor=$(\"$cli\" read -field=accessor sys/auth/{})\n",
            setup.config.auth.mount
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
    let mount = &setup.config.auth.mount;
    let Some(role) = setup.login() else {
        return format!(
            "\n# A token, into the file that `vault.auth.token_file` names; somebody has to keep it fresh:\n\
             # \"$cli\" token create -orphan -no-default-policy -policy={} -period=24h -field=token\n",
            setup.name()
        );
    };
    let mut text = format!(
        "\n# How it logs in. A method that is mounted already is left as it is.\n\
         if ! \"$cli\" read -field=accessor sys/auth/{mount} >/dev/null 2>&1; then\n  \"$cli\" auth enable -path={mount} {}\n",
        role.method
    );
    text.push_str(&configured(setup, &role.name));
    text.push_str("fi\n");
    match &setup.config.auth.method {
        AuthMethod::Cert { .. } => {
            let pairs = role.settings.iter().map(|(key, value)| format!(" {key}={}", quoted(&flat(value))));
            let _ = writeln!(
                text,
                "\"$cli\" write auth/{mount}/certs/{} certificate=@\"${{CLIENT_CA:?a PEM file with the authority of \
                 the client certificate}}\" allowed_common_names=\"${{CLIENT_NAME:?the common name in it}}\"{}",
                quoted(&role.name),
                pairs.collect::<String>()
            );
        }
        _ => text.push_str(&write_json(&format!("auth/{mount}/role/{}", role.name), &role.settings, "'END'")),
    }
    if matches!(setup.config.auth.method, AuthMethod::AppRole { .. }) {
        let _ = write!(
            text,
            "# Into the files that `vault.auth.role_id_file` and `secret_id_file` name:\n\
             # \"$cli\" read -field=role_id auth/{mount}/role/{0}/role-id\n\
             # \"$cli\" write -f -field=secret_id auth/{mount}/role/{0}/secret-id\n",
            role.name
        );
    }
    text
}

/// What a method needs to know once.
fn configured(setup: &VaultSetup<'_>, role: &str) -> String {
    let mount = &setup.config.auth.mount;
    match &setup.config.auth.method {
        AuthMethod::Kubernetes { .. } => format!(
            "  \"$cli\" write auth/{mount}/config kubernetes_host=\"${{KUBERNETES_HOST:-https://kubernetes.default.svc}}\"\n"
        ),
        AuthMethod::Jwt { role: named, .. } => {
            let issuer = match setup.token_issuer() {
                Some(issuer) => format!("  TOKEN_ISSUER=${{TOKEN_ISSUER:-{}}}\n", quoted(&issuer)),
                None => {
                    "  : \"${TOKEN_ISSUER:?the iss of the cluster's service-account tokens}\"\n".to_owned()
                }
            };
            let default =
                if named.is_none() { format!(" default_role={}", quoted(role)) } else { String::new() };
            format!(
                "{issuer}  # Its keys: by OIDC discovery, or out of a PEM file.\n  \
                 if [ -n \"${{TOKEN_KEYS:-}}\" ]; then\n    \
                 \"$cli\" write auth/{mount}/config bound_issuer=\"$TOKEN_ISSUER\" jwt_validation_pubkeys=@\"$TOKEN_KEYS\"{default}\n  \
                 else\n    \
                 \"$cli\" write auth/{mount}/config bound_issuer=\"$TOKEN_ISSUER\" oidc_discovery_url=\"$TOKEN_ISSUER\"{default}\n  \
                 fi\n"
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
# What Vault or OpenBao needs for Signet. Read it, then run it as somebody who may write policies, roles and login
# methods there, with VAULT_ADDR and VAULT_TOKEN set. It can be run again. It holds no secret.
set -eu
cli=${VAULT_CLI:-$(command -v bao || command -v vault)}
";
