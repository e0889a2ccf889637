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
        setup.policy(),
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
            setup.policy()
        );
        return "vault_auth_backend";
    };
    let (backend, method) = match setup.config.auth.method {
        AuthMethod::Jwt { .. } => ("vault_jwt_auth_backend", jwt(setup, &role.name)),
        _ => ("vault_auth_backend", mounted(mount, role.method)),
    };
    let name = hcl(&Value::from(role.name.as_str()));
    let (special, role_type, named) = match setup.config.auth.method {
        AuthMethod::Jwt { .. } => ("", "vault_jwt_auth_backend_role", format!("role_name = {name}")),
        AuthMethod::Kubernetes { .. } => {
            (KUBERNETES, "vault_kubernetes_auth_backend_role", format!("role_name = {name}"))
        }
        AuthMethod::AppRole { .. } => ("", "vault_approle_auth_backend_role", format!("role_name = {name}")),
        AuthMethod::Cert { .. } | AuthMethod::TokenFile { .. } => {
            (CLIENT, "vault_cert_auth_backend_role", format!("name      = {name}\n{BY_CLIENT}"))
        }
    };
    let _ = write!(
        text,
        r#"{method}{special}
resource "{role_type}" "login" {{
  backend   = {backend}.login.path
  {named}
"#
    );
    settings(text, &role.settings, "");
    backend
}

fn mounted(mount: &str, method: &str) -> String {
    format!(
        r#"
# One that is there already: terraform import vault_auth_backend.login {mount}
resource "vault_auth_backend" "login" {{
  type = "{method}"
  path = "{mount}"
}}
"#
    )
}

fn jwt(setup: &VaultSetup<'_>, role: &str) -> String {
    let mount = &setup.config.auth.mount;
    let issuer = setup.token_issuer();
    let issuer = issuer.map(|issuer| format!("\n  default     = {}", hcl(&Value::from(issuer))));
    let default = match &setup.config.auth.method {
        AuthMethod::Jwt { role: None, .. } => {
            Some(format!("\n  default_role       = {}", hcl(&Value::from(role))))
        }
        _ => None,
    };
    let (issuer, default) = (issuer.unwrap_or_default(), default.unwrap_or_default());
    format!(
        r#"
variable "token_issuer" {{
  description = "iss of the cluster's service-account tokens"{issuer}
}}

# One that is there already: terraform import vault_jwt_auth_backend.login {mount}
resource "vault_jwt_auth_backend" "login" {{
  path               = "{mount}"
  bound_issuer       = var.token_issuer
  oidc_discovery_url = var.token_issuer{default}
}}
"#
    )
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

const HEAD: &str =
    "# What Vault or OpenBao needs for Signet, for Terraform or OpenTofu with the provider hashicorp/vault.
# It holds no secret.
";

const KUBERNETES: &str = r#"
variable "kubernetes_host" {
  description = "the API server, as Vault reaches it"
  default     = "https://kubernetes.default.svc"
}

variable "kubernetes_ca" {
  description = "PEM of its authority, for a Vault outside of the cluster"
  default     = null
}

# Whoever has tokens reviewed must be allowed to create tokenreviews (system:auth-delegator). In the cluster that is
# Vault's own service account.
variable "kubernetes_reviewer" {
  description = "a token for the API server, of a service account that may, for a Vault outside of the cluster"
  default     = null
  sensitive   = true
}

resource "vault_kubernetes_auth_backend_config" "login" {
  backend              = vault_auth_backend.login.path
  kubernetes_host      = var.kubernetes_host
  kubernetes_ca_cert   = var.kubernetes_ca
  disable_local_ca_jwt = var.kubernetes_ca != null
  token_reviewer_jwt   = var.kubernetes_reviewer
}
"#;

const CLIENT: &str = r#"
variable "client_ca" {
  description = "PEM of the authority of the client certificate"
}

variable "client_name" {
  description = "the common name in the client certificate"
}
"#;

const BY_CLIENT: &str = "
  certificate          = var.client_ca
  allowed_common_names = [var.client_name]";
