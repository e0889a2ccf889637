//! As resources of Terraform's provider `hashicorp/vault`.

use std::fmt::Write;

use serde_json::Value;

use super::{Settings, VaultSetup};
use crate::vault::AuthMethod;

pub(super) fn print(setup: &VaultSetup<'_>) -> String {
    let mut text = String::from(HEAD);
    if let Some(namespace) = &setup.config.namespace {
        let _ = writeln!(
            text,
            "# The provider must be of the namespace {}.",
            hcl(&Value::from(namespace.as_str()))
        );
    }
    let rules: Vec<String> = setup.rules().iter().map(|rule| format!("    {}", rule.text())).collect();
    let _ = write!(
        text,
        "\nresource \"vault_policy\" \"signet\" {{\n  name   = \"{}\"\n  policy = <<-END\n{}\n  END\n}}\n",
        setup.name(),
        rules.join("\n")
    );
    let backend = login(setup, &mut text);
    let accessor = format!("${{{backend}.login.accessor}}");
    for role in setup.roles(&accessor) {
        let _ = write!(
            text,
            "\nresource \"vault_pki_secret_backend_role\" \"{}\" {{\n  backend = \"{}\"\n  name    = \"{}\"\n",
            role.label, setup.config.pki.mount, role.name
        );
        settings(&mut text, &role.settings, &accessor);
    }
    text
}

/// The method and its role. Returns the type of the method's resource.
fn login(setup: &VaultSetup<'_>, text: &mut String) -> &'static str {
    let mount = &setup.config.auth.mount;
    let Some(role) = setup.login() else {
        let _ = writeln!(
            text,
            "\n# The token for `vault.auth.token_file` is a secret, and so no resource:\n\
             # vault token create -orphan -no-default-policy -policy={} -period=24h -field=token",
            setup.name()
        );
        return "vault_auth_backend";
    };
    let (backend, role_type) = match setup.config.auth.method {
        AuthMethod::Jwt { .. } => ("vault_jwt_auth_backend", "vault_jwt_auth_backend_role"),
        AuthMethod::Kubernetes { .. } => ("vault_auth_backend", "vault_kubernetes_auth_backend_role"),
        AuthMethod::AppRole { .. } => ("vault_auth_backend", "vault_approle_auth_backend_role"),
        AuthMethod::Cert { .. } | AuthMethod::TokenFile { .. } => {
            ("vault_auth_backend", "vault_cert_auth_backend_role")
        }
    };
    if let AuthMethod::Jwt { role: named, .. } = &setup.config.auth.method {
        let issuer = setup.token_issuer();
        let default = issuer
            .map_or_else(String::new, |issuer| format!("\n  default     = {}", hcl(&Value::from(issuer))));
        let _ = write!(
            text,
            "\nvariable \"token_issuer\" {{\n  description = \"iss of the cluster's service-account tokens\"{default}\n}}\n\
             \n# One that is there already: terraform import vault_jwt_auth_backend.login {mount}\n\
             resource \"{backend}\" \"login\" {{\n  path               = \"{mount}\"\n  bound_issuer       = var.token_issuer\n  \
             oidc_discovery_url = var.token_issuer\n"
        );
        if named.is_none() {
            let _ = writeln!(text, "  default_role       = {}", hcl(&Value::from(role.name.as_str())));
        }
        text.push_str("}\n");
    } else {
        let _ = write!(
            text,
            "\n# One that is there already: terraform import vault_auth_backend.login {mount}\n\
             resource \"{backend}\" \"login\" {{\n  type = \"{}\"\n  path = \"{mount}\"\n}}\n",
            role.method
        );
    }
    match setup.config.auth.method {
        AuthMethod::Kubernetes { .. } => text.push_str(KUBERNETES),
        AuthMethod::Cert { .. } => text.push_str(CLIENT),
        _ => {}
    }
    let name =
        if matches!(setup.config.auth.method, AuthMethod::Cert { .. }) { "name     " } else { "role_name" };
    let _ = write!(
        text,
        "\nresource \"{role_type}\" \"login\" {{\n  backend   = {backend}.login.path\n  {name} = {}\n",
        hcl(&Value::from(role.name.as_str()))
    );
    if matches!(setup.config.auth.method, AuthMethod::Cert { .. }) {
        text.push_str("  certificate          = var.client_ca\n  allowed_common_names = [var.client_name]\n");
    }
    settings(text, &role.settings, "");
    backend
}

/// The rest of a block. `reference` is ours, and stays one.
fn settings(text: &mut String, settings: &Settings, reference: &str) {
    let width = settings.keys().map(String::len).max().unwrap_or(0);
    text.push('\n');
    for (key, value) in settings {
        let mut value = hcl(value);
        if !reference.is_empty() {
            value = value.replace(&reference.replace("${", "$${"), reference);
        }
        let _ = writeln!(text, "  {key:width$} = {value}");
    }
    text.push_str("}\n");
}

/// JSON is HCL, but for what would be a template.
fn hcl(value: &Value) -> String {
    value.to_string().replace("${", "$${").replace("%{", "%%{")
}

const HEAD: &str = "# What Vault or OpenBao needs for Signet, for Terraform or OpenTofu with the provider hashicorp/vault. It holds no
# secret.
";

const KUBERNETES: &str = "
variable \"kubernetes_host\" {
  description = \"the API server, as Vault reaches it\"
  default     = \"https://kubernetes.default.svc\"
}

resource \"vault_kubernetes_auth_backend_config\" \"login\" {
  backend         = vault_auth_backend.login.path
  kubernetes_host = var.kubernetes_host
}
";

const CLIENT: &str = "
variable \"client_ca\" {
  description = \"PEM of the authority of the client certificate\"
}

variable \"client_name\" {
  description = \"the common name in the client certificate\"
}
";
