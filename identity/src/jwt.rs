//! Tokens: JSON Web Tokens (RFC 7519) in the compact form of JWS (RFC 7515).
//!
//! jsonwebtoken takes tokens apart, verifies and makes signatures, over ring. Everything else is ours to
//! check: the library reads the system's clock, skips `nbf` and lets a token without `aud` pass unless told
//! otherwise. [`Jwks`] says which key may sign by which algorithm; [`verify`] checks the signature first and
//! then every claim, against the time it is given.

use std::time::{Duration, SystemTime};

mod claims;
mod development;
mod jwks;
mod jws;
mod ring_provider;

pub use claims::{KubernetesClaims, Pod};
pub use development::{DEVELOPMENT_ISSUER, DevelopmentIssuer, MintError, TokenRequest};
pub use jwks::{Jwks, JwksError, MAX_JWKS_BYTES, MAX_JWKS_KEYS};

use claims::Claims;
use jws::Jws;

use crate::caller::parts;
use crate::{SpiffeId, TrustDomain};

/// What a token must say to be accepted.
#[derive(Debug, Clone)]
pub struct TokenRules {
    /// The one `iss`.
    pub issuer: String,
    /// The token's `aud` must name at least one of these.
    pub audiences: Vec<String>,
    /// What the clocks of issuer and verifier may differ by, at `exp` and at `nbf`.
    pub leeway: Duration,
}

/// Claims that were proven. Made by [`verify`] alone.
#[derive(Debug, Clone)]
pub struct VerifiedToken {
    issuer: String,
    subject: String,
    audiences: Vec<String>,
    expires_at: SystemTime,
    kubernetes: Option<KubernetesClaims>,
}

impl VerifiedToken {
    /// `sub`: whose token it is.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `iss`: who vouches for it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `exp`, without leeway.
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// `aud`, all of it.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// `kubernetes.io`, if the token comes from a Kubernetes API server.
    pub fn kubernetes(&self) -> Option<&KubernetesClaims> {
        self.kubernetes.as_ref()
    }
}

/// A token taken apart, once. What it says is proven by nobody until [`Self::verify`]; what it says before
/// that is enough to find out which issuer's keys to ask, and never enough to grant anything.
pub struct Presented<'a> {
    jws: Jws<'a>,
    claims: Claims,
}

impl<'a> Presented<'a> {
    /// Reads a token of at most [`MAX_TOKEN_BYTES`] without verifying anything.
    pub fn read(token: &'a str) -> Result<Self, JwtError> {
        let jws = Jws::parse(token)?;
        let claims = Claims::parse(&jws.payload()?)?;
        Ok(Self { jws, claims })
    }

    /// `iss`, as claimed.
    pub fn claimed_issuer(&self) -> Option<&str> {
        self.claims.iss.as_deref()
    }

    /// Proves it: signed by a key of `keys`, by an algorithm of that key; then `exp`, `nbf`, `iss`, `aud` and
    /// `sub` are present and right at `now`.
    pub fn verify(self, keys: &Jwks, rules: &TokenRules, now: SystemTime) -> Result<VerifiedToken, JwtError> {
        keys.verify(&self.jws)?;
        self.claims.check(rules, now)
    }
}

/// Proves `token`; see [`Presented::verify`].
pub fn verify(
    token: &str,
    keys: &Jwks,
    rules: &TokenRules,
    now: SystemTime,
) -> Result<VerifiedToken, JwtError> {
    Presented::read(token)?.verify(keys, rules, now)
}

/// What a token says of itself, proven by nobody: for its holder, to know when to stop presenting it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    /// `iss`.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
    /// `aud`; empty if it says nothing.
    pub audiences: Vec<String>,
    /// `exp`.
    pub expires_at: Option<SystemTime>,
    /// `kid` of the header.
    pub key_id: Option<String>,
}

impl Unverified {
    /// The identity of the service account that it claims to be for; `None` if it names none. Harmless: whoever issues
    /// for it decides whether the token may have it, and nothing is to be looked up by it.
    pub fn workload(&self, trust_domain: &TrustDomain) -> Option<SpiffeId> {
        let (namespace, service_account) = parts(self.subject.as_deref()?)?;
        SpiffeId::workload(trust_domain, namespace, service_account).ok()
    }
}

/// Reads a token without verifying anything.
pub fn peek(token: &str) -> Result<Unverified, JwtError> {
    let Presented { jws, claims } = Presented::read(token)?;
    Ok(Unverified {
        expires_at: claims.expires_at()?,
        audiences: claims.aud.map(|aud| aud.0).unwrap_or_default(),
        issuer: claims.iss,
        subject: claims.sub,
        key_id: jws.key_id().map(str::to_owned),
    })
}

/// Why a token is not accepted. The texts are for the operator; the caller learns only that it was not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Longer than any token that an HTTP header should carry.
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// Not a compact JWS with JSON in it.
    #[error("the token's {0} is malformed")]
    Malformed(&'static str),
    /// Not the header of a JWS, or one that names no algorithm which jsonwebtoken knows, such as `none`.
    #[error("the token's header is malformed or names an unknown algorithm; use RS256, ES256 or EdDSA")]
    Header(#[source] jsonwebtoken::errors::Error),
    /// The header demands an extension (`crit`) that we do not know (RFC 7515 §4.1.11).
    #[error("the token's header demands extensions (`crit`), of which none is known")]
    CriticalExtension,
    /// The key does not sign by the algorithm that the header names.
    #[error("the token claims algorithm {0:?}, which is not that of the issuer's key")]
    NotTheKeysAlgorithm(String),
    /// No key has the token's `kid`: perhaps the issuer has new keys, which may be fetched.
    #[error("the token is signed by key {:?}, which the issuer does not publish", .key_id.as_deref().unwrap_or_default())]
    UnknownKey {
        /// `kid` of the header.
        key_id: Option<String>,
    },
    /// The header names no key, and the issuer has several.
    #[error("the token names no key (`kid`), and its issuer publishes several")]
    NoKeyId,
    /// Not signed by that key, or changed since.
    #[error("the token's signature does not verify under the issuer's key")]
    BadSignature,
    /// A claim that must be there is not.
    #[error("the token has no claim `{0}`")]
    MissingClaim(&'static str),
    /// `exp` is over.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is still to come.
    #[error("the token is not yet valid (`nbf`); check the clocks of this machine and of the issuer")]
    NotYetValid,
    /// `iss` is somebody else.
    #[error("the token's issuer is {found:?}, not {wanted:?}")]
    WrongIssuer {
        /// `iss` of the token.
        found: String,
        /// The issuer whose key it verified under.
        wanted: String,
    },
    /// `aud` names nobody we answer to.
    #[error("the token is for the audiences {found:?}; it must name one of {wanted:?}")]
    WrongAudience {
        /// `aud` of the token.
        found: Vec<String>,
        /// The audiences accepted here.
        wanted: Vec<String>,
    },
    /// `sub` is empty.
    #[error("the token's subject is empty")]
    EmptySubject,
}

/// The most that a token may have. Kubernetes' have about 1,200 bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests;
