//! What `signet-ca vault` is about: whether Vault can sign for this configuration, and how it is set up to.

use signet_backends::vault::{Purpose, Signs, VaultCheck, VaultSetup};
use signet_identity::Clock;

use crate::{config::Config, process::SERVING_CERTIFICATE_LIFETIME, trust::Origin};

/// The whole path to a signature, to be tried. With a kind of authority that does not sign by Vault, what `vault`
/// would need. `None`: there is no `[vault]`.
pub fn check<'a>(config: &Config, clock: &'a dyn Clock) -> Option<VaultCheck<'a>> {
    let purpose = match config.authority.kind {
        Origin::VaultIntermediate => Purpose::Intermediate,
        Origin::Local | Origin::Injected | Origin::Vault => Purpose::Leaves {
            lifetime: config.issuing.policy.max_lifetime(),
            serving: config.serving.is_none().then(|| config.identity.dns_names.clone()),
        },
    };
    let trust_domain = config.identity.trust_domain.clone();
    Some(VaultCheck { config: config.vault.clone()?, trust_domain, purpose, clock })
}

/// What has to be set up for it, likewise.
pub fn setup(config: &Config) -> Option<VaultSetup<'_>> {
    let serving = (config.identity.dns_names.as_slice(), SERVING_CERTIFICATE_LIFETIME);
    let signs = match config.authority.kind {
        Origin::VaultIntermediate => Signs::Intermediate,
        Origin::Local | Origin::Injected | Origin::Vault => Signs::Leaves {
            lifetime: config.issuing.policy.max_lifetime(),
            serving: config.serving.is_none().then_some(serving),
        },
    };
    Some(VaultSetup { config: config.vault.as_ref()?, trust_domain: &config.identity.trust_domain, signs })
}
