//! The roles of the PKI: a profile that is Signet's own, for the identities that may be asked for and no other.

use std::time::Duration;

use serde_json::{Value, json};
use signet_identity::SpiffeId;

use super::{PkiRole, Settings, Signs, VaultSetup};
use crate::vault::AuthMethod;

impl VaultSetup<'_> {
    /// Those that sign. `accessor` is how the printed text refers to that of the login method.
    pub(super) fn roles(&self, accessor: &str) -> Vec<PkiRole<'_>> {
        let pki = &self.config.pki;
        match &self.signs {
            Signs::Intermediate => Vec::new(),
            Signs::Leaves { lifetime, serving } => {
                // The CA has seen to the keys of its workloads.
                let any = json!({
                    "allowed_uri_sans": [format!("spiffe://{}/ns/*", self.trust_domain)],
                    "key_type": "any",
                    "key_bits": 0,
                });
                let workload = self.role("workload", &pki.role, Some(*lifetime), any);
                let serving = serving.zip(pki.serving_role.as_ref()).map(|((names, lifetime), role)| {
                    let own = json!({
                        "allowed_uri_sans": [SpiffeId::certificate_authority(self.trust_domain).as_str()],
                        "allowed_domains": names,
                        "allow_bare_domains": true,
                    });
                    self.role("serving", role, Some(lifetime), own)
                });
                [Some(workload), serving].into_iter().flatten().collect()
            }
            Signs::Workloads { lifetime, .. } => {
                let own = json!({
                    "allowed_uri_sans": [self.own_identity(accessor)],
                    "allowed_uri_sans_template": true,
                });
                vec![self.role("workload", &pki.role, *lifetime, own)]
            }
        }
    }

    fn role<'a>(
        &self,
        label: &'static str,
        name: &'a str,
        lifetime: Option<Duration>,
        special: Value,
    ) -> PkiRole<'a> {
        let mut settings = object(json!({
            "allow_any_name": false,
            "allow_ip_sans": false,
            "allow_localhost": false,
            "basic_constraints_valid_for_non_ca": true,
            "generate_lease": false,
            "issuer_ref": self.config.pki.issuer.as_deref().unwrap_or("default"),
            "key_bits": 256,
            "key_type": "ec",
            "key_usage": ["DigitalSignature"],
            "max_ttl": lifetime.unwrap_or(DAY).as_secs().to_string(),
            "no_store": true,
            "require_cn": false,
            "use_csr_common_name": false,
            "use_csr_sans": false,
        }));
        settings.extend(object(special));
        PkiRole { label, name, settings }
    }

    /// The SPIFFE ID of whoever is logged in, by what the method has read from his token.
    fn own_identity(&self, accessor: &str) -> String {
        let (namespace, service_account) = match self.config.auth.method {
            AuthMethod::Kubernetes { .. } => ("service_account_namespace", "service_account_name"),
            _ => super::login::MAPPED,
        };
        let of = |key| format!("{{{{identity.entity.aliases.{accessor}.metadata.{key}}}}}");
        format!("spiffe://{}/ns/{}/sa/{}", self.trust_domain, of(namespace), of(service_account))
    }
}

pub(super) fn object(value: Value) -> Settings {
    match value {
        Value::Object(settings) => settings,
        _ => Settings::new(),
    }
}

/// What the agent is given if it asks for nothing.
const DAY: Duration = Duration::from_secs(24 * 3600);
