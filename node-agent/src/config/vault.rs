//! `[vault]`: the Vault that signs with `ca.kind = "vault"`.

use signet_backends::vault::{AuthMethod, VaultConfig};
use signet_runtime::config::Section;

use crate::workload::audience::TokenAudience;

/// The section, read. Judged only if Vault signs, so that it can stand there beforehand.
pub(super) struct VaultSection {
    vault: Option<VaultConfig>,
    has_address: bool,
    audience: String,
}

impl VaultSection {
    /// As the CA reads it, so that both can be given the same, and `audience`.
    pub(super) fn read(section: &Section<'_>) -> Self {
        Self {
            vault: VaultConfig::read(section),
            has_address: !section.list::<String>("address").is_empty(),
            audience: section.optional("audience", DEFAULT_AUDIENCE.to_owned()),
        }
    }

    /// For an agent whose workloads log in by their own tokens, which must not do for a CA.
    pub(super) fn judged(
        self,
        section: &Section<'_>,
        ca_audience: String,
    ) -> Option<(VaultConfig, TokenAudience)> {
        if !self.has_address {
            section.fault("address", "is required with `ca.kind = \"vault\"`");
        }
        if self.audience == ca_audience {
            section.fault(
                "audience",
                format!(
                    "is `{ca_audience}`, as `ca.audience` is: whoever is shown a token for one could replay it to the \
                     other. Give Vault an audience of its own, here and at Vault"
                ),
            );
        }
        let vault = self.vault?;
        if !matches!(vault.auth.method, AuthMethod::Kubernetes { .. } | AuthMethod::Jwt { .. }) {
            section.fault(
                "auth.method",
                "takes no workload's token, and with `ca.kind = \"vault\"` each workload logs in by its own \
                 (want kubernetes or jwt)",
            );
            return None;
        }
        Some((vault, TokenAudience { vault: self.audience, ca: ca_audience }))
    }
}

const DEFAULT_AUDIENCE: &str = "vault";
