//! The role by which we log in, or a workload does.

use serde_json::json;
use signet_identity::jwt::{self, Unverified};

use super::{Settings, Signs, VaultSetup, roles::object};
use crate::vault::{AuthMethod, files::read_text};

/// A role of a login method.
pub(super) struct LoginRole {
    /// Of the method: `kubernetes`.
    pub(super) method: &'static str,
    pub(super) name: String,
    pub(super) settings: Settings,
}

impl VaultSetup<'_> {
    /// `None`: a token in a file has none.
    pub(super) fn login(&self) -> Option<LoginRole> {
        let name = |role: &Option<String>| role.clone().unwrap_or_else(|| self.name().to_owned());
        let (method, name, special) = match &self.config.auth.method {
            AuthMethod::Kubernetes { role, .. } => ("kubernetes", role.clone(), self.kubernetes()),
            AuthMethod::Jwt { role, .. } => ("jwt", name(role), self.jwt()),
            AuthMethod::AppRole { .. } => ("approle", self.name().to_owned(), Settings::new()),
            AuthMethod::Cert { role } => ("cert", name(role), Settings::new()),
            AuthMethod::TokenFile { .. } => return None,
        };
        let mut settings = object(match self.signs {
            // Costs Vault neither storage nor a lease, and ends soon, for it cannot be revoked.
            Signs::Workloads { .. } => json!({"token_type": "batch", "token_ttl": 600}),
            Signs::Leaves { .. } | Signs::Intermediate => json!({"token_ttl": 3600, "token_max_ttl": 86_400}),
        });
        settings.insert("token_policies".to_owned(), json!(self.policies()));
        settings.insert("token_no_default_policy".to_owned(), json!(true));
        settings.extend(special);
        Some(LoginRole { method, name, settings })
    }

    fn kubernetes(&self) -> Settings {
        let whose = self.whose();
        let (namespace, service_account) = match &whose.subject {
            Some(subject) => parts(subject),
            None => ("*", "*"),
        };
        object(json!({
            "bound_service_account_names": [service_account],
            "bound_service_account_namespaces": [namespace],
            "audience": whose.audience,
        }))
    }

    fn jwt(&self) -> Settings {
        let whose = self.whose();
        let role = json!({
            "role_type": "jwt",
            // An entity a service account: a pod's UID would make one a pod, for ever.
            "user_claim": "sub",
            "bound_audiences": [whose.audience],
        });
        let mut role = object(role);
        role.extend(object(match whose.subject {
            Some(subject) => json!({"bound_subject": subject}),
            None => json!({"claim_mappings": {
                "/kubernetes.io/namespace": MAPPED.0,
                "/kubernetes.io/serviceaccount/name": MAPPED.1,
            }}),
        }));
        role
    }

    /// Whose tokens log in: the CA's, as the one in its file says, or as `deploy/` has it; or any workload's.
    fn whose(&self) -> Whose {
        if let Signs::Workloads { audience, .. } = self.signs {
            return Whose { subject: None, audience: audience.to_owned() };
        }
        let token = self.own_token();
        let said = |token: &Unverified| token.audiences.first().cloned();
        Whose {
            audience: token.as_ref().and_then(said).unwrap_or_else(|| USUAL_AUDIENCE.to_owned()),
            subject: token.and_then(|token| token.subject).or_else(|| Some(USUAL_SUBJECT.to_owned())),
        }
    }

    /// Who issues the tokens, if there is one to read it from.
    pub(super) fn token_issuer(&self) -> Option<String> {
        self.own_token()?.issuer
    }

    fn own_token(&self) -> Option<Unverified> {
        match (&self.signs, &self.config.auth.method) {
            (Signs::Workloads { .. }, _) => None,
            (_, AuthMethod::Kubernetes { jwt_file, .. } | AuthMethod::Jwt { jwt_file, .. }) => {
                jwt::peek(&zeroize::Zeroizing::new(read_text(jwt_file).ok()?)).ok()
            }
            _ => None,
        }
    }
}

struct Whose {
    /// `None`: anybody's.
    subject: Option<String>,
    audience: String,
}

/// Namespace and service account.
fn parts(subject: &str) -> (&str, &str) {
    let account = subject.strip_prefix("system:serviceaccount:").unwrap_or(subject);
    account.split_once(':').unwrap_or(("*", account))
}

/// Metadata of a workload's entity: its namespace and its service account.
pub(super) const MAPPED: (&str, &str) = ("namespace", "sa");
const USUAL_AUDIENCE: &str = "vault";
const USUAL_SUBJECT: &str = "system:serviceaccount:signet-system:signet-ca";
