//! What is printed; that Vault takes it is shown where a real one runs.

use std::path::PathBuf;

use super::*;
use crate::vault::{AuthConfig, AuthMethod, PkiConfig};

fn config(method: AuthMethod) -> VaultConfig {
    let second = Duration::from_secs(1);
    VaultConfig {
        addresses: vec!["https://vault.test:8200/".parse().unwrap()],
        namespace: None,
        ca_file: None,
        client_certificate: None,
        timeout: 5 * second,
        concurrency: 1,
        queue: 0,
        pki: PkiConfig {
            mount: "pki/mesh".to_owned(),
            role: "workload".to_owned(),
            serving_role: Some("ca".to_owned()),
            issuer: None,
            roots_file: None,
            intermediate_lifetime: 3600 * second,
        },
        auth: AuthConfig { mount: "cluster-1".to_owned(), method },
    }
}

fn methods() -> [AuthMethod; 5] {
    let file = PathBuf::from("/nowhere");
    [
        AuthMethod::Kubernetes { role: "ca".to_owned(), jwt_file: file.clone() },
        AuthMethod::Jwt { role: None, jwt_file: file.clone() },
        AuthMethod::AppRole { role_id_file: file.clone(), secret_id_file: file.clone() },
        AuthMethod::Cert { role: None },
        AuthMethod::TokenFile { token_file: file },
    ]
}

fn names() -> Vec<String> {
    vec!["signet-ca.signet-system.svc".to_owned(), "localhost".to_owned()]
}

fn rules(config: &VaultConfig, signs: Signs<'_>) -> Vec<String> {
    let setup = VaultSetup { config, trust_domain: &"cluster.local".parse().unwrap(), signs };
    setup.rules().into_iter().map(|rule| format!("{} {}", rule.capability, rule.path)).collect()
}

#[test]
fn the_policy_allows_to_sign_and_to_live_on_and_nothing_else() {
    let [kubernetes, .., token_file] = methods().map(config);
    let mut by_issuer = kubernetes.clone();
    by_issuer.pki.issuer = Some("mesh".to_owned());
    let (day, names) = (Duration::from_secs(24 * 3600), names());
    let leaves = || Signs::Leaves { lifetime: day, serving: Some((&names, day)) };
    let without = || Signs::Leaves { lifetime: day, serving: None };
    let workloads = || Signs::Workloads { audience: "vault", lifetime: None };
    let renew = "update auth/token/renew-self";
    for (case, config, signs, wanted) in [
        (
            "leaves",
            &kubernetes,
            leaves(),
            vec!["update pki/mesh/sign/workload", "update pki/mesh/sign/ca", renew],
        ),
        (
            "a serving certificate from files",
            &kubernetes,
            without(),
            vec!["update pki/mesh/sign/workload", renew],
        ),
        (
            "an issuer by name",
            &by_issuer,
            leaves(),
            vec!["update pki/mesh/issuer/+/sign/workload", "update pki/mesh/issuer/+/sign/ca", renew],
        ),
        (
            "an intermediate",
            &kubernetes,
            Signs::Intermediate,
            vec!["update pki/mesh/issuer/default/sign-intermediate", renew],
        ),
        (
            "one of an issuer by name",
            &by_issuer,
            Signs::Intermediate,
            vec!["update pki/mesh/issuer/mesh/sign-intermediate", renew],
        ),
        (
            "workloads, whose tokens cannot be renewed",
            &kubernetes,
            workloads(),
            vec!["update pki/mesh/sign/workload"],
        ),
        (
            "a token that is looked at for its end",
            &token_file,
            without(),
            vec!["update pki/mesh/sign/workload", renew, "read auth/token/lookup-self"],
        ),
    ] {
        assert_eq!(rules(config, signs), wanted, "{case}");
    }
}

/// Terraform takes the names of the API: what one text sets, the other sets too.
#[test]
fn both_texts_set_the_same() {
    let (day, names) = (Duration::from_secs(24 * 3600), names());
    for method in methods() {
        let config = config(method);
        let setup = VaultSetup {
            config: &config,
            trust_domain: &"cluster.local".parse().unwrap(),
            signs: Signs::Leaves { lifetime: day, serving: Some((&names, day)) },
        };
        let (shell, terraform) = (setup.shell(), setup.terraform());
        let login = setup.login().map(|login| login.settings);
        let roles = setup.roles("x").into_iter().map(|role| role.settings);
        for settings in roles.chain(login) {
            for (key, value) in settings {
                let value = value.to_string();
                assert!(shell.contains(&key), "{key} in {shell}");
                let said = |line: &str| {
                    Some(line.trim().strip_prefix(&key)?.trim_start().strip_prefix("= ")? == value)
                };
                assert!(
                    terraform.lines().any(|line| said(line) == Some(true)),
                    "{key} = {value} in {terraform}"
                );
            }
        }
        for rule in setup.rules() {
            assert!(shell.contains(&rule.text()) && terraform.contains(&rule.text()), "{}", rule.text());
        }
    }
}

#[test]
fn a_workload_can_be_nobody_but_itself() {
    let [kubernetes, jwt, ..] = methods().map(config);
    for (config, backend, (namespace, service_account)) in [
        (&kubernetes, "vault_auth_backend", ("service_account_namespace", "service_account_name")),
        (&jwt, "vault_jwt_auth_backend", ("namespace", "sa")),
    ] {
        let setup = VaultSetup {
            config,
            trust_domain: &"cluster.local".parse().unwrap(),
            signs: Signs::Workloads { audience: "vault.example", lifetime: None },
        };
        let (shell, terraform) = (setup.shell(), setup.terraform());
        let own = |accessor: &str| {
            let of = |key| format!("{{{{identity.entity.aliases.{accessor}.metadata.{key}}}}}");
            format!("\"spiffe://cluster.local/ns/{}/sa/{}\"", of(namespace), of(service_account))
        };
        assert!(shell.contains(&own("${accessor}")), "{shell}");
        assert!(terraform.contains(&own(&format!("${{{backend}.login.accessor}}"))), "{terraform}");
        for text in [&shell, &terraform] {
            assert!(text.contains("vault.example") && text.contains("allowed_uri_sans_template"), "{text}");
        }
    }
}

#[test]
fn a_name_from_the_configuration_stays_one_word() {
    let mut config =
        config(AuthMethod::Jwt { role: Some("a'; rm -rf / #".to_owned()), jwt_file: PathBuf::new() });
    config.namespace = Some("team $(a)".to_owned());
    let setup =
        VaultSetup { config: &config, trust_domain: &"td".parse().unwrap(), signs: Signs::Intermediate };
    let shell = setup.shell();
    assert!(shell.contains(r"'auth/cluster-1/role/a'\''; rm -rf / #'"), "{shell}");
    assert!(shell.contains("export VAULT_NAMESPACE='team $(a)'\n"), "{shell}");
}
