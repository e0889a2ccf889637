//! `[vault]`: the Vault that signs with `ca.kind = "vault"`.

use signet_backends::vault::{AuthMethod, VaultConfig};
use signet_runtime::config::Section;

/// As the CA reads it, but for the login: each workload logs in by its own token, so only methods that take one will do.
/// `audience`, what tokens for Vault carry, must not be the CA's: whoever is shown a token could replay it there.
pub(super) fn read(section: &Section<'_>, ca_audience: &str) -> Option<VaultConfig> {
    let audience: Option<String> = section.maybe("audience");
    let vault = VaultConfig::read(section);
    if audience.as_deref() == Some(ca_audience) {
        section.fault("audience", format!("is `{ca_audience}`, as `ca.audience` is: who is shown a token for one could replay it to the other (want an audience of Vault's own)"));
    }
    let vault = vault?;
    if !matches!(vault.auth.method, AuthMethod::Kubernetes { .. } | AuthMethod::Jwt { .. }) {
        section.fault("auth.method", "takes no workload's token (want kubernetes or jwt)");
        return None;
    }
    Some(vault)
}
