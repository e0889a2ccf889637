//! A throw-away intermediate, and a leaf under it.

use std::time::Duration;

use signet_identity::{Approved, Expected, PrivateKey, TrustBundle, X509Svid};
use signet_runtime::telemetry::chain;

use super::{
    super::{IntermediateError, VaultIntermediate, VaultSession},
    VaultCheck,
    finding::{Findings, days},
    patience, refusal,
};
use crate::{Assembler, Issuer, LocalSigner};

impl VaultCheck<'_> {
    pub(super) async fn try_intermediate(&self, session: &VaultSession, findings: &mut Findings<'_>) {
        let now = self.clock.now();
        let deadline = patience(session.client()) + session.client().config().timeout;
        let made = match VaultIntermediate::obtain(session, &self.trust_domain, now, deadline).await {
            Ok(made) => made,
            Err(IntermediateError::Vault(error)) => {
                return findings.fault("intermediate", refusal::of_signature("sign-intermediate", &error));
            }
            Err(error) => return findings.fault("intermediate", chain(&error).to_string()),
        };
        let (lives, asked) =
            (made.certificate.validity().remaining(now), self.config.pki.intermediate_lifetime);
        if let Err(error) = self.leaf_under(made).await {
            return findings.fault("intermediate", format!("a leaf under it would be refused: {error}"));
        }
        if lives + TOLERANCE < asked {
            findings.hint(
                "intermediate",
                format!(
                    "asked for {} (vault.intermediate_lifetime), Vault signs for {}: raise the mount's maximum (`vault \
                     secrets tune -max-lease-ttl`), or lower the one; it is renewed before it ends",
                    days(asked),
                    days(lives)
                ),
            );
        }
        findings.holds(
            "intermediate",
            format!("Vault signs one for {}, and a leaf under it verifies", days(lives)),
        );
    }

    async fn leaf_under(&self, made: VaultIntermediate) -> Result<(), String> {
        let now = self.clock.now();
        let said = |error: &(dyn std::error::Error + 'static)| chain(error).to_string();
        let bundle =
            TrustBundle::new(self.trust_domain.clone(), made.roots, None).map_err(|error| said(&error))?;
        let key = PrivateKey::generate().map_err(|error| said(&error))?;
        let minute = Duration::from_secs(60);
        let approved = Approved::for_the_authority(&self.trust_domain, Vec::new(), &key, minute)
            .map_err(|error| said(&error))?;
        let signer = std::sync::Arc::new(LocalSigner::new(made.key));
        let assembler = Assembler::new(signer, made.certificate, made.intermediates);
        let deadline = tokio::time::Instant::now() + minute;
        let leaf = assembler.issue(&approved, now, deadline).await.map_err(|error| said(&error))?;
        let expected = Expected { identity: approved.identity(), public_key: approved.public_key() };
        X509Svid::verify(leaf, expected, &bundle, now).map(drop).map_err(|error| said(&error))
    }
}

const TOLERANCE: Duration = Duration::from_secs(60);
