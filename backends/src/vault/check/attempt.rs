//! A throw-away certificate: asked for, and judged as a peer would judge it.

use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use signet_identity::{
    CertificateRequest, CertificateSummary, Clock, Expected, PrivateKey, SpiffeId, SvidError, TrustBundle,
    TrustDomain, X509Svid, broken_rules, profile_differences,
};
use signet_runtime::telemetry::chain;

use super::{
    super::{LeafRequest, Signed, VaultError},
    Reached, Wanted,
    finding::{Findings, days},
    patience, refusal,
};

/// One attempt.
pub(super) struct Attempt<'a> {
    pub(super) reached: &'a Reached<'a>,
    pub(super) wanted: &'a Wanted<'a>,
    pub(super) trust_domain: &'a TrustDomain,
    pub(super) clock: &'a dyn Clock,
}

impl Attempt<'_> {
    /// Tells what came of it. Whether all is well.
    ///
    /// The CSR carries another name than the one that is asked for, as a hostile one would: a role that signs
    /// what stands in CSRs is found out.
    pub(super) async fn run(&self, findings: &mut Findings<'_>) -> bool {
        let Wanted { step, role, .. } = *self.wanted;
        match self.signed().await {
            Ok((signed, key)) => self.judge(signed, &key, findings),
            Err(error) => {
                findings.fault(step, refusal::of_signature(role, &error));
                false
            }
        }
    }

    async fn signed(&self) -> Result<(Signed, PrivateKey), VaultError> {
        let (wanted, lifetime) = (self.wanted, self.wanted.lifetime.map(|(lifetime, _)| lifetime));
        let (csr_pem, key) = csr(&self.smuggled())?;
        let request = LeafRequest {
            csr_pem: &csr_pem,
            identity: &wanted.identity,
            dns_names: wanted.dns_names,
            lifetime,
        };
        let Reached { session, path, .. } = self.reached;
        Ok((request.sign(session, path, wanted.role, patience(session.client())).await?, key))
    }

    fn judge(&self, signed: Signed, key: &PrivateKey, findings: &mut Findings<'_>) -> bool {
        let Wanted { step, role, .. } = *self.wanted;
        let now = self.clock.now();
        let leaf = signed.chain.first().cloned();
        let faults = self.faults(signed.chain, key, now);
        for fault in &faults {
            findings.fault(step, format!("role {role}: {fault}"));
        }
        let Some(leaf) = leaf.filter(|_| faults.is_empty()) else { return false };
        for difference in profile_differences(&leaf).unwrap_or_default() {
            let text = format!(
                "role {role}: what it signs works, but {difference}, unlike Signet's own certificates"
            );
            findings.hint(step, text);
        }
        let lifetime =
            CertificateSummary::of(&leaf).map_or(Duration::ZERO, |leaf| leaf.validity().remaining(now));
        findings.holds(step, format!("role {role} signs {} for {}", self.wanted.identity, days(lifetime)));
        true
    }

    /// What is wrong with what Vault signed.
    fn faults(&self, chain_: Vec<CertificateDer<'static>>, key: &PrivateKey, now: SystemTime) -> Vec<String> {
        let leaf = chain_.first().cloned().unwrap_or_else(|| Vec::new().into());
        let broken = broken_rules(&leaf).unwrap_or_default();
        if !broken.is_empty() {
            return broken.iter().map(|rule| format!("what it signs is no SVID: {rule}")).collect();
        }
        let bundle =
            match TrustBundle::new(self.trust_domain.clone(), self.reached.issuer.roots.clone(), None) {
                Ok(bundle) => bundle,
                Err(error) => return vec![format!("its roots cannot be a trust bundle: {}", chain(&error))],
            };
        let expected = Expected { identity: &self.wanted.identity, public_key: key.public_key() };
        match X509Svid::verify(chain_, expected, &bundle, now) {
            Ok(svid) => self.shortfalls(&leaf, svid.validity().remaining(now)),
            Err(SvidError::WrongIdentity { found, .. }) if found == self.smuggled().as_str() => vec![
                "set use_csr_sans=false: it signed the name in the CSR, not the one that was approved"
                    .to_owned(),
            ],
            Err(error @ SvidError::NotTrusted { .. }) => vec![format!(
                "{}; it signs by another issuer than {}, which the trust bundle is made of: set its issuer_ref, or \
                 `vault.issuer`",
                chain(&error),
                self.reached.issuer.issuer_id
            )],
            Err(error) => vec![chain(&error).to_string()],
        }
    }

    /// An SVID that is good, and less than what was asked for, or more.
    fn shortfalls(&self, leaf: &CertificateDer<'_>, lives: Duration) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some((asked, key)) = self.wanted.lifetime {
            if lives + TOLERANCE < asked {
                faults.push(format!(
                    "asked for {} ({key}), it signs for {}: raise its max_ttl and the mount's (`vault secrets tune \
                     -max-lease-ttl`), or lower {key}",
                    days(asked),
                    days(lives)
                ));
            }
            if lives > asked + TOLERANCE {
                faults.push(format!(
                    "asked for {}, it signs for {}, which is refused",
                    days(asked),
                    days(lives)
                ));
            }
        }
        let names = CertificateSummary::of(leaf).map(|leaf| leaf.other_names().to_vec()).unwrap_or_default();
        let mut wanted: Vec<String> =
            self.wanted.dns_names.iter().map(|name| format!("DNS:{name}")).collect();
        let mut found = names.clone();
        wanted.sort();
        found.sort();
        if wanted != found {
            faults.push(format!("what it signs has the names {names:?}, not {:?}", self.wanted.dns_names));
        }
        faults
    }

    /// What the CSR asks for.
    fn smuggled(&self) -> SpiffeId {
        SpiffeId::workload(self.trust_domain, "signet-check", "smuggled")
            .unwrap_or_else(|_| self.wanted.identity.clone())
    }
}

/// Asks for the identity of somebody else.
pub(super) async fn sign_another(
    reached: &Reached<'_>,
    role: &str,
    another: &SpiffeId,
) -> Result<(), VaultError> {
    let (csr_pem, _) = &csr(another)?;
    let request = LeafRequest { csr_pem, identity: another, dns_names: &[], lifetime: None };
    let Reached { session, path, .. } = reached;
    request.sign(session, path, role, patience(session.client())).await.map(drop)
}

/// A CSR that asks for `identity`, by a key of its own.
fn csr(identity: &SpiffeId) -> Result<(String, PrivateKey), VaultError> {
    let ours = |reason: String| VaultError::Nonsense { path: "our own CSR".to_owned(), reason };
    let key = PrivateKey::generate().map_err(|error| ours(error.to_string()))?;
    let csr = CertificateRequest::pem(&key, identity).map_err(|error| ours(error.to_string()))?;
    Ok((csr, key))
}

/// The clocks of two honest machines, and the time of a request.
const TOLERANCE: Duration = Duration::from_secs(60);
