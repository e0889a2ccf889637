//! The decision: may this caller have what it asks for?

use std::time::Duration;

use crate::{Caller, CertificateRequest, Csr, PrivateKey, PublicKey, RequestError, SpiffeId, TrustDomain};

mod asked;

pub use asked::AskedNames;

/// What may be issued, and for how long.
#[derive(Debug, Clone)]
pub struct IssuingPolicy {
    trust_domain: TrustDomain,
    default_lifetime: Duration,
    max_lifetime: Duration,
}

impl IssuingPolicy {
    /// Both lifetimes are at least a second, and the default is not above the maximum.
    pub fn new(
        trust_domain: TrustDomain,
        default_lifetime: Duration,
        max_lifetime: Duration,
    ) -> Result<Self, PolicyError> {
        if default_lifetime < MIN_LIFETIME {
            return Err(PolicyError::TooShort);
        }
        if max_lifetime < default_lifetime {
            return Err(PolicyError::DefaultAboveMaximum { default_lifetime, max_lifetime });
        }
        Ok(Self { trust_domain, default_lifetime, max_lifetime })
    }

    /// The only trust domain whose identities are issued.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// What the longest certificate may live.
    pub fn max_lifetime(&self) -> Duration {
        self.max_lifetime
    }

    /// Nothing asked, or nothing sensible: the default. More than the maximum: the maximum, and the caller
    /// reads the end from its certificate. Never below a second, the least that a certificate can express.
    fn grant(&self, asked: Option<Duration>) -> Duration {
        match asked {
            None | Some(Duration::ZERO) => self.default_lifetime,
            Some(asked) => asked.clamp(MIN_LIFETIME, self.max_lifetime),
        }
    }
}

/// Why there is no such policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Certificates live whole seconds.
    #[error("the default lifetime is below one second")]
    TooShort,
    /// Nobody could be given the default.
    #[error(
        "the default lifetime {default_lifetime:?} is above the maximum {max_lifetime:?}; lower it, or raise the maximum"
    )]
    DefaultAboveMaximum {
        /// Given to who asks for none.
        default_lifetime: Duration,
        /// Given at most.
        max_lifetime: Duration,
    },
}

/// What a request wants beside what its CSR says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask {
    /// How long the certificate should live. `None` or zero: as the policy likes.
    pub lifetime: Option<Duration>,
}

/// The decision, pure and in one place: the CSR's names must be exactly one URI, the caller's own identity.
///
/// A CSR that asks for anything else is refused and never silently corrected, for its sender would go on
/// believing to be somebody else.
pub fn approve(caller: &Caller, csr: Csr, ask: Ask, policy: &IssuingPolicy) -> Result<Approved, Denied> {
    let identity = caller.identity();
    if identity.trust_domain() != policy.trust_domain() {
        return Err(Denied::ForeignTrustDomain {
            caller: identity.clone(),
            trust_domain: policy.trust_domain().clone(),
        });
    }
    if !csr.other_requested_names().is_empty() {
        let asked = AskedNames::of(csr.other_requested_names());
        return Err(Denied::OtherNames { caller: identity.clone(), asked });
    }
    match csr.requested_uris() {
        [] => return Err(Denied::NoName { caller: identity.clone() }),
        [asked] if asked == identity.as_str() => {}
        [_] => {
            let asked = AskedNames::of(csr.requested_uris());
            return Err(Denied::AnotherIdentity { caller: identity.clone(), asked });
        }
        several => {
            return Err(Denied::SeveralUris { caller: identity.clone(), asked: AskedNames::of(several) });
        }
    }
    let lifetime = policy.grant(ask.lifetime);
    Ok(Approved { identity: identity.clone(), dns_names: Vec::new(), lifetime, csr })
}

/// Why an authenticated caller does not get what it asks for: everything, for the operator and the audit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Somebody else's name.
    #[error("{caller} asked for the identity {asked}; it may request its own only")]
    AnotherIdentity {
        /// Who asked.
        caller: SpiffeId,
        /// The URI of its CSR.
        asked: AskedNames,
    },
    /// The CSR has no URI SAN.
    #[error("{caller} asked for no identity: its CSR has no URI SAN; it must have exactly one")]
    NoName {
        /// Who asked.
        caller: SpiffeId,
    },
    /// An X.509-SVID has exactly one URI SAN (rule X-01).
    #[error("{caller} asked for several identities, {asked}; a CSR must have exactly one URI SAN")]
    SeveralUris {
        /// Who asked.
        caller: SpiffeId,
        /// The URIs of its CSR.
        asked: AskedNames,
    },
    /// No DNS name, address or other name is granted to a workload.
    #[error("{caller} asked for names that are not granted, {asked}; leave them out of the CSR")]
    OtherNames {
        /// Who asked.
        caller: SpiffeId,
        /// The names, as `DNS:a.example`.
        asked: AskedNames,
    },
    /// The caller belongs to another trust domain than this authority's.
    #[error("{caller} is not of the trust domain {trust_domain}, the only one this authority issues for")]
    ForeignTrustDomain {
        /// Who asked.
        caller: SpiffeId,
        /// The authority's own.
        trust_domain: TrustDomain,
    },
}

/// Permission to sign one certificate.
///
/// Made by [`approve`] and, for the authority's own certificates, by [`Self::for_the_authority`], and by
/// nothing else in any crate: what signs takes an `Approved`, so signing without approval does not compile.
#[derive(Debug)]
pub struct Approved {
    identity: SpiffeId,
    dns_names: Vec<String>,
    lifetime: Duration,
    csr: Csr,
}

impl Approved {
    /// The authority's own: its serving certificate, which has DNS names, and the throw-away SVID that
    /// proves a signer. Always of the identity [`SpiffeId::certificate_authority`].
    pub fn for_the_authority(
        trust_domain: &TrustDomain,
        dns_names: Vec<String>,
        key: &PrivateKey,
        lifetime: Duration,
    ) -> Result<Self, RequestError> {
        let identity = SpiffeId::certificate_authority(trust_domain);
        let request = CertificateRequest::der(key, &identity, &dns_names)?;
        let csr = Csr::from_der(&request)?;
        Ok(Self { identity, dns_names, lifetime: lifetime.max(MIN_LIFETIME), csr })
    }

    /// Who the certificate is for: its one URI SAN.
    pub fn identity(&self) -> &SpiffeId {
        &self.identity
    }

    /// DNS names granted beside it; a workload has none.
    pub fn dns_names(&self) -> &[String] {
        &self.dns_names
    }

    /// How long it is to live, from now.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The key whose possession was proven.
    pub fn public_key(&self) -> &PublicKey {
        self.csr.public_key()
    }

    /// The CSR, for a signer that wants to see it. The names in it are the granted ones.
    pub fn csr_der(&self) -> &[u8] {
        self.csr.der()
    }
}

/// Certificates live whole seconds (RFC 5280 §4.1.2.5).
const MIN_LIFETIME: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
