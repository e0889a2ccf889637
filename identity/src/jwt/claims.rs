//! The claims of a token, and the rules they are held to.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::{JwtError, TokenRules, VerifiedToken};

/// What a Kubernetes API server says about the bearer in `kubernetes.io`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "KubernetesWire")]
pub struct KubernetesClaims {
    /// The namespace of the service account.
    pub namespace: String,
    /// The service account.
    pub service_account: String,
    /// The pod that the token is bound to; empty if it is bound to none.
    pub pod: Pod,
}

/// What a token says about the pod it is bound to. All of it is absent in a token that is not bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: Option<String>,
    /// Its UID, which no later pod of that name has.
    pub uid: Option<String>,
    /// The node it runs on, since Kubernetes 1.29.
    pub node: Option<String>,
}

/// A payload as it is written. Unknown claims are ignored (RFC 7519 §4).
#[derive(Deserialize)]
pub(super) struct Claims {
    pub(super) iss: Option<String>,
    pub(super) sub: Option<String>,
    pub(super) aud: Option<Audience>,
    exp: Option<f64>,
    nbf: Option<f64>,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<KubernetesClaims>,
}

impl Claims {
    pub(super) fn parse(payload: &[u8]) -> Result<Self, JwtError> {
        serde_json::from_slice(payload).map_err(|_| JwtError::Malformed("payload"))
    }

    pub(super) fn expires_at(&self) -> Result<Option<SystemTime>, JwtError> {
        self.exp.map(|exp| time(exp, "exp")).transpose()
    }

    /// Every claim that must be there is there, and right.
    pub(super) fn check(self, rules: &TokenRules, now: SystemTime) -> Result<VerifiedToken, JwtError> {
        let expires_at = self.expires_at()?.ok_or(JwtError::MissingClaim("exp"))?;
        let not_before = time(self.nbf.ok_or(JwtError::MissingClaim("nbf"))?, "nbf")?;
        let issuer = self.iss.ok_or(JwtError::MissingClaim("iss"))?;
        let Audience(audiences) = self.aud.ok_or(JwtError::MissingClaim("aud"))?;
        let subject = self.sub.ok_or(JwtError::MissingClaim("sub"))?;
        if later(expires_at, rules.leeway)? <= now {
            return Err(JwtError::Expired);
        }
        if not_before > later(now, rules.leeway)? {
            return Err(JwtError::NotYetValid);
        }
        if issuer != rules.issuer {
            return Err(JwtError::WrongIssuer { found: issuer, wanted: rules.issuer.clone() });
        }
        if !audiences.iter().any(|audience| rules.audiences.contains(audience)) {
            return Err(JwtError::WrongAudience { found: audiences, wanted: rules.audiences.clone() });
        }
        if subject.is_empty() {
            return Err(JwtError::EmptySubject);
        }
        Ok(VerifiedToken { issuer, subject, audiences, expires_at, kubernetes: self.kubernetes })
    }
}

/// `aud`: a string or a list of them (RFC 7519 §4.1.3). Read by hand: an untagged enum would be read into a
/// buffer first, for every token.
pub(super) struct Audience(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AudienceVisitor)
    }
}

struct AudienceVisitor;

impl<'de> Visitor<'de> for AudienceVisitor {
    type Value = Audience;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string or a list of strings")
    }

    fn visit_str<E>(self, audience: &str) -> Result<Audience, E> {
        Ok(Audience(vec![audience.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Audience, A::Error> {
        let mut audiences = Vec::new();
        while let Some(audience) = list.next_element()? {
            audiences.push(audience);
        }
        Ok(Audience(audiences))
    }
}

#[derive(Deserialize)]
struct KubernetesWire {
    namespace: String,
    serviceaccount: Object,
    pod: Option<Object>,
    node: Option<Object>,
}

#[derive(Deserialize)]
struct Object {
    name: String,
    uid: Option<String>,
}

impl From<KubernetesWire> for KubernetesClaims {
    fn from(wire: KubernetesWire) -> Self {
        let (name, uid) = wire.pod.map_or((None, None), |pod| (Some(pod.name), pod.uid));
        Self {
            namespace: wire.namespace,
            service_account: wire.serviceaccount.name,
            pod: Pod { name, uid, node: wire.node.map(|node| node.name) },
        }
    }
}

/// A NumericDate: seconds since 1970, perhaps with a fraction (RFC 7519 §2).
fn time(seconds: f64, claim: &'static str) -> Result<SystemTime, JwtError> {
    let since_epoch = Duration::try_from_secs_f64(seconds).map_err(|_| JwtError::Malformed(claim))?;
    UNIX_EPOCH.checked_add(since_epoch).ok_or(JwtError::Malformed(claim))
}

fn later(time: SystemTime, by: Duration) -> Result<SystemTime, JwtError> {
    time.checked_add(by).ok_or(JwtError::Malformed("time"))
}
