//! What a refusal of Vault's means to an operator. Vault's own text is in each.

use signet_runtime::telemetry::chain;

use super::super::{AuthConfig, AuthMethod, PkiConfig, VaultError};

/// Why nobody is logged in.
pub(super) fn of_login(auth: &AuthConfig, error: &VaultError) -> String {
    let reason = match error {
        VaultError::Login(cause) | VaultError::Away(cause) => return of_login(auth, cause),
        VaultError::Refused { reason, .. }
        | VaultError::Denied { reason, .. }
        | VaultError::Unconfirmed { reason, .. } => reason.as_str(),
        VaultError::NoSuchPath { .. } => "there is no such path",
        other => return chain(other).to_string(),
    };
    let mount = &auth.mount;
    let remedy = match &auth.method {
        AuthMethod::Kubernetes { .. } if matches!(error, VaultError::Unconfirmed { .. }) => {
            "it says no more, whatever the review of the token failed of. A `kubernetes` method must be mounted there \
             (`vault auth list`), and reach the API server (its kubernetes_host and kubernetes_ca_cert), as somebody who \
             may create tokenreviews: Vault's own service account, or that of its token_reviewer_jwt (bound to \
             system:auth-delegator). The service account of the token must be there, and the token not be over"
                .to_owned()
        }
        AuthMethod::Kubernetes { role, .. } => format!(
            "a role {role} must be there, and bind the name and the namespace of the service account, and an audience of \
             the token"
        ),
        AuthMethod::Jwt { .. } if matches!(error, VaultError::Unconfirmed { .. }) => format!(
            "it has not got the keys of the issuer of the token, and must reach what its jwks_url or oidc_discovery_url \
             names (`vault read auth/{mount}/config`), by a CA that it trusts, and be let in there"
        ),
        AuthMethod::Jwt { role, .. } => format!(
            "a `jwt` method must be mounted there (`vault auth list`), know the issuer of the token and its keys, and \
             its role {} must bind the audience and the subject of the token",
            role.as_deref().unwrap_or("(default_role)")
        ),
        AuthMethod::AppRole { .. } => "role id and secret id must be of the same role of an `approle` method, and the \
                                       secret id neither used up nor over (`vault write -f auth/approle/role/<role>/secret-id`)"
            .to_owned(),
        AuthMethod::Cert { role } => format!(
            "a `cert` method must be mounted there, and {} must trust the authority and the name of \
             `client_certificate_file`",
            role.as_ref().map_or_else(|| "one of its roles".to_owned(), |role| format!("its role {role}"))
        ),
        AuthMethod::TokenFile { token_file } => {
            return format!(
                "the token of {} is refused: {reason}; it is over or revoked, or its policy lacks `read` on \
                 auth/token/lookup-self",
                token_file.display()
            );
        }
    };
    format!("auth/{mount} refuses the login: {reason}; {remedy}")
}

/// Why there is no issuer. Without a token, what is not mounted is denied.
pub(super) fn of_issuer(pki: &PkiConfig, error: &VaultError) -> String {
    let PkiConfig { mount, issuer, .. } = pki;
    match error {
        VaultError::Denied { .. } | VaultError::NoSuchPath { .. } => {
            format!("no PKI is mounted at {mount} (`vault secrets list`; `vault.mount`, `vault.namespace`)")
        }
        VaultError::Failing { status: 500, reason, .. } => match issuer {
            Some(issuer) => format!(
                "{mount} has no issuer {issuer}: {reason}; `vault list {mount}/issuers` shows those that it has \
                 (`vault.issuer`)"
            ),
            None => format!(
                "{mount} has no issuer that signs: {reason}; make a root or import one, or set `vault.issuer`"
            ),
        },
        VaultError::Nonsense { reason, .. } => {
            format!("no leaf of the issuer of {mount} would be trusted: {reason}")
        }
        other => chain(other).to_string(),
    }
}

/// Why `role` signed nothing.
pub(super) fn of_signature(role: &str, error: &VaultError) -> String {
    match error {
        VaultError::Denied { path, .. } => lacks(path),
        VaultError::Refused { reason, .. } => match remedy(reason) {
            Some(remedy) => format!("role {role}: {remedy} (Vault says: {reason})"),
            None => format!("role {role} refuses: {reason}"),
        },
        other => chain(other).to_string(),
    }
}

/// What to do at Vault, for refusals that are known.
fn remedy(reason: &str) -> Option<&'static str> {
    let known = [
        (
            "unknown role",
            "is not there: create it (`vault setup --print`), or set `vault.role` or `vault.serving_role`",
        ),
        ("common_name field is required", "set require_cn=false: a SPIFFE ID is the only name"),
        ("requires keys of type", "set key_type=any, or ec: the keys are EC P-256"),
        ("requires a minimum of", "lower key_bits: the keys are EC P-256"),
        (
            "provided via CSR",
            "set use_csr_sans=false: only what is approved may be signed, whatever a CSR asks for",
        ),
        ("URI Subject Alternative Names", "its allowed_uri_sans do not admit the SPIFFE ID"),
        (
            "subject alternate name",
            "its allowed_domains do not admit `identity.dns_names`, or allow_bare_domains is false",
        ),
        ("notAfter", "the issuer ends before the certificate would"),
    ];
    known.iter().find(|(said, _)| reason.contains(said)).map(|(_, remedy)| *remedy)
}

/// The rule to add.
pub(super) fn lacks(path: &str) -> String {
    format!(
        "the token's policies lack `update` on {path}; add: path \"{}\" {{ capabilities = [\"update\"] }}",
        ruled(path)
    )
}

/// Issuers are asked by their ids, which no policy should name: the next one has another.
fn ruled(path: &str) -> String {
    match path.split_once("/issuer/").and_then(|(mount, rest)| Some((mount, rest.split_once("/sign/")?.1))) {
        Some((mount, role)) => format!("{mount}/issuer/+/sign/{role}"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_a_role_and_no_issuers_id() {
        for (path, rule) in [
            ("pki/sign/workload", "pki/sign/workload"),
            ("pki/issuer/0b1c/sign/workload", "pki/issuer/+/sign/workload"),
            ("pki/issuer/default/sign-intermediate", "pki/issuer/default/sign-intermediate"),
        ] {
            assert!(lacks(path).contains(&format!("path \"{rule}\" {{")), "{}", lacks(path));
        }
    }
}
