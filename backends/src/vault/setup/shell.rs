//! As commands.

use std::fmt::Write;

use serde_json::Value;

use super::{PkiRole, Settings, Signs, VaultSetup, login::LoginRole};
use crate::vault::AuthMethod;

pub(super) fn print(setup: &VaultSetup<'_>) -> String {
    let mut text = String::from(HEAD);
    if let Some(namespace) = &setup.config.namespace {
        let _ = writeln!(text, "export VAULT_NAMESPACE={}", quoted(namespace));
    }
    let rules: Vec<String> = setup.rules().iter().map(super::Rule::text).collect();
    let (name, rules, mount) = (setup.policy(), rules.join("\n"), &setup.config.auth.mount);
    let roles = setup.roles("${accessor}");
    let _ = write!(
        text,
        r#"
# What it may do, and nothing else.
rules=$(cat <<'END'
{rules}
END
)
"#
    );
    text.push_str(&wanted(setup));
    let _ = write!(
        text,
        "\n{KEEP}found=$(there policy read {name})\nkeep 'policy {name}' \"$found\" \"$rules\"\n"
    );
    for role in &roles {
        text.push_str(&kept(&setup.config.pki.mount, role));
    }
    let _ = write!(text, "\nprintf '%s\\n' \"$rules\" | \"$cli\" policy write {name} -\n");
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
    for role in roles {
        let path = format!("{}/roles/{}", setup.config.pki.mount, role.name);
        // Only of the templated role, where every other value is a name that has been checked.
        let end = if is_templated(&role) { "END" } else { "'END'" };
        text.push_str(&format!("\n{}", write_json(&path, &role.settings, end)));
    }
    text
}

fn login(setup: &VaultSetup<'_>) -> String {
    let (name, policy, mount) = (setup.name(), setup.policy(), &setup.config.auth.mount);
    let Some(role) = setup.login() else {
        return format!(
            r#"
# A token, into the file that `vault.auth.token_file` names; somebody has to keep it fresh:
# "$cli" token create -orphan -no-default-policy -policy={policy} -period=24h -field=token
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
# How it logs in. A method that is mounted and configured already is left as it is.
if [ -z "$accessor" ]; then
  "$cli" auth enable -path={mount} {method}
fi
{configured}{written}"#
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
  certificate=@"$CLIENT_CA" \
  allowed_common_names="$CLIENT_NAME"{pairs}
"#
    )
}

/// What the rest needs to know, asked for before anything is changed.
fn wanted(setup: &VaultSetup<'_>) -> String {
    let mount = &setup.config.auth.mount;
    let missing = match &setup.config.auth.method {
        AuthMethod::TokenFile { .. } => return String::new(),
        AuthMethod::AppRole { .. } => String::new(),
        AuthMethod::Cert { .. } => {
            r#": "${CLIENT_CA:?a PEM file with the authority of the client certificate}" <"$CLIENT_CA"
: "${CLIENT_NAME:?the common name in it}"
"#
            .to_owned()
        }
        AuthMethod::Kubernetes { .. } => format!(
            r#"configured=$(there read auth/{mount}/config)
if [ -z "$configured" ] && [ -n "${{KUBERNETES_CA:-}}" ]; then
  : "${{KUBERNETES_HOST:?the API server, as Vault reaches it}}" <"$KUBERNETES_CA"
  : "${{KUBERNETES_REVIEWER:?a file with a token for the API server}}" <"$KUBERNETES_REVIEWER"
fi
"#
        ),
        AuthMethod::Jwt { .. } => {
            let issuer = match setup.token_issuer() {
                Some(issuer) => format!("TOKEN_ISSUER=${{TOKEN_ISSUER:-{}}}", quoted(&issuer)),
                None => r#": "${TOKEN_ISSUER:?the iss of the cluster's service-account tokens}""#.to_owned(),
            };
            format!(
                r#"configured=$(there read auth/{mount}/config)
if [ -z "$configured" ]; then
  {issuer}
  if [ -n "${{TOKEN_KEYS:-}}" ]; then : <"$TOKEN_KEYS"; fi
fi
"#
            )
        }
    };
    format!(
        r#"
# What is there, and what has to be known, before anything is changed.
accessor=$("$cli" read -field=accessor sys/auth/{mount} 2>/dev/null) || accessor=
{missing}"#
    )
}

/// Does not let a role of another way, or of another mesh, be replaced by this one.
fn kept(mount: &str, role: &PkiRole<'_>) -> String {
    let path = quoted(&format!("{mount}/roles/{}", role.name));
    let signs = role.settings.get("allowed_uri_sans").and_then(Value::as_array);
    let signs = signs.map(|all| all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "));
    let signs = format!("[{}]", signs.unwrap_or_default());
    let signs = if is_templated(role) { format!("\"{signs}\"") } else { quoted(&signs) };
    format!("found=$(there read -field=allowed_uri_sans {path})\nkeep {path} \"$found\" {signs}\n")
}

fn is_templated(role: &PkiRole<'_>) -> bool {
    role.settings.contains_key("allowed_uri_sans_template")
}

/// What a method needs to know once.
fn configured(setup: &VaultSetup<'_>, role: &str) -> String {
    let mount = &setup.config.auth.mount;
    match &setup.config.auth.method {
        AuthMethod::Kubernetes { .. } => format!(
            r#"# Whoever has tokens reviewed must be allowed to create tokenreviews (system:auth-delegator). In the cluster
# that is Vault's own service account. A Vault outside of it is told where the API server is and under which
# authority, and given a token: not one that logs in here, for what is meant for Vault is not for the API server.
if [ -n "$configured" ]; then
  :
elif [ -n "${{KUBERNETES_CA:-}}" ]; then
  "$cli" write auth/{mount}/config disable_local_ca_jwt=true \
    kubernetes_host="$KUBERNETES_HOST" \
    kubernetes_ca_cert=@"$KUBERNETES_CA" \
    token_reviewer_jwt=@"$KUBERNETES_REVIEWER"
else
  "$cli" write auth/{mount}/config \
    kubernetes_host="${{KUBERNETES_HOST:-https://kubernetes.default.svc}}"
fi
"#
        ),
        AuthMethod::Jwt { role: named, .. } => {
            let default = match named {
                None => format!(" default_role={}", quoted(role)),
                Some(_) => String::new(),
            };
            format!(
                r#"# Its keys: out of a PEM file, or by OIDC discovery.
if [ -n "$configured" ]; then
  :
elif [ -n "${{TOKEN_KEYS:-}}" ]; then
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
# What Vault or OpenBao needs for Signet. Read it, then run it as somebody who may read and write policies, roles and
# login methods there, with VAULT_ADDR and VAULT_TOKEN set. It can be run again. It holds no secret. A policy or role
# that says something else already is replaced with SIGNET_REPLACE=yes only.
set -eu
cli=${VAULT_CLI:-$(command -v bao || command -v vault)}

# What is there, or nothing.
there() {
  if \"$cli\" \"$@\" 2>/dev/null; then return; fi
  said=$(\"$cli\" \"$@\" 2>&1) || :
  case $said in
    *'No value found'* | *'No policy named'*) ;;
    *) printf '%s\\n' \"$said\" >&2; return 1 ;;
  esac
}
";

const KEEP: &str = r#"# What another way to sign, or another mesh, lives on is not taken from it.
keep() {
  if [ -z "$2" ] || [ "$2" = "$3" ] || [ "${SIGNET_REPLACE:-}" = yes ]; then return; fi
  printf '%s\n' "$1 is there already, and says:" "$2" "instead of" "$3" \
    "Whoever uses it would lose it. Set another name (of a role: vault.role, vault.serving_role), or let it be" \
    "replaced: SIGNET_REPLACE=yes. Nothing has been changed." >&2
  exit 1
}
"#;
