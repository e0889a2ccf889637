//! What has to be set up at Vault for a configuration, printed for an operator to read and apply: the policy, the
//! roles of the PKI, and the role of the login. Least privilege: nothing but to ask for signatures, and to live on.
//!
//! The PKI itself, with its root, is not made here: it is an organisation's, and signs for others too.

mod login;
mod roles;
mod shell;
mod terraform;

use std::time::Duration;

use serde_json::{Map, Value};
use signet_identity::TrustDomain;

use super::VaultConfig;

/// For whom Vault is to sign, and what.
pub struct VaultSetup<'a> {
    /// Where it is, and how we log in.
    pub config: &'a VaultConfig,
    /// Of the identities that it signs.
    pub trust_domain: &'a TrustDomain,
    /// What it signs.
    pub signs: Signs<'a>,
}

/// What Vault is to sign.
pub enum Signs<'a> {
    /// Leaves for a CA.
    Leaves {
        /// The longest that the CA asks for.
        lifetime: Duration,
        /// The CA's own certificate, if Vault signs it: its DNS names, and how long it lives.
        serving: Option<(&'a [String], Duration)>,
    },
    /// An intermediate of a CA.
    Intermediate,
    /// Leaves for workloads, each by its own token.
    Workloads {
        /// What their tokens for Vault carry as `aud`.
        audience: &'a str,
        /// What the agent asks for, if it asks for any.
        lifetime: Option<Duration>,
    },
}

/// What is written to a path of Vault's, by the names of its API, which are those of Terraform's provider too.
type Settings = Map<String, Value>;

/// One rule of the policy.
struct Rule {
    path: String,
    capability: &'static str,
}

/// A role of the PKI.
struct PkiRole<'a> {
    /// Its name in Terraform.
    label: &'static str,
    name: &'a str,
    settings: Settings,
}

impl VaultSetup<'_> {
    /// As commands for `bao` or `vault`, whichever is there.
    pub fn shell(&self) -> String {
        shell::print(self)
    }

    /// As resources of Terraform's provider `hashicorp/vault`.
    pub fn terraform(&self) -> String {
        terraform::print(self)
    }

    /// Of the login role where its configuration names none.
    fn name(&self) -> &'static str {
        match self.signs {
            Signs::Leaves { .. } | Signs::Intermediate => LEAVES,
            Signs::Workloads { .. } => WORKLOADS,
        }
    }

    /// Of the policy: each way has its own, so that to set up one takes nothing from another.
    fn policy(&self) -> &'static str {
        match self.signs {
            Signs::Leaves { .. } => LEAVES,
            Signs::Intermediate => INTERMEDIATE,
            Signs::Workloads { .. } => WORKLOADS,
        }
    }

    /// What whoever logs in may do. A CA that goes from one way to the other needs both for a while, by one login; a
    /// policy that was never written allows nothing.
    fn policies(&self) -> Vec<&'static str> {
        match self.signs {
            Signs::Leaves { .. } | Signs::Intermediate => vec![LEAVES, INTERMEDIATE],
            Signs::Workloads { .. } => vec![WORKLOADS],
        }
    }

    fn rules(&self) -> Vec<Rule> {
        let pki = &self.config.pki;
        let sign = |role: &String| {
            let path = match &pki.issuer {
                // It is asked by its id, so that the last one can go on when another gets the name.
                Some(_) => format!("{}/issuer/+/sign/{role}", pki.mount),
                None => format!("{}/sign/{role}", pki.mount),
            };
            Rule { path, capability: "update" }
        };
        let own = |path: &str, capability| Rule { path: path.to_owned(), capability };
        let mut rules = match &self.signs {
            Signs::Leaves { serving, .. } => {
                let serving = pki.serving_role.as_ref().filter(|_| serving.is_some());
                [Some(&pki.role), serving].into_iter().flatten().map(sign).collect()
            }
            Signs::Intermediate => {
                let issuer = pki.issuer.as_deref().unwrap_or("default");
                vec![own(&format!("{}/issuer/{issuer}/sign-intermediate", pki.mount), "update")]
            }
            // Their tokens cannot be renewed.
            Signs::Workloads { .. } => return vec![sign(&pki.role)],
        };
        rules.push(own("auth/token/renew-self", "update"));
        if matches!(self.config.auth.method, super::AuthMethod::TokenFile { .. }) {
            rules.push(own("auth/token/lookup-self", "read"));
        }
        rules
    }
}

impl Rule {
    fn text(&self) -> String {
        format!("path \"{}\" {{ capabilities = [\"{}\"] }}", self.path, self.capability)
    }
}

const LEAVES: &str = "signet-ca";
const INTERMEDIATE: &str = "signet-ca-intermediate";
const WORKLOADS: &str = "signet-workload";

#[cfg(test)]
mod tests;
