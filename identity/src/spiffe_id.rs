//! SPIFFE IDs and trust domains, checked rule by rule.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of a trust domain, such as `cluster.local`: 1 to 255 bytes of `a-z 0-9 . - _`
/// (SPIFFE-ID §2.1, rules ID-02 and ID-05 to ID-08, ID-15). Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// The bare name, without a scheme.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `spiffe://<trust domain>`, the SPIFFE ID of its signing authority (ID-18).
    pub fn id(&self) -> SpiffeId {
        self.with_path("")
    }

    /// `path` is empty or begins with '/', and every segment was checked.
    fn with_path(&self, path: &str) -> SpiffeId {
        SpiffeId { uri: format!("{SCHEME}{self}{path}").into(), trust_domain: self.clone() }
    }
}

impl FromStr for TrustDomain {
    type Err = SpiffeIdError;

    fn from_str(name: &str) -> Result<Self, SpiffeIdError> {
        if name.is_empty() {
            return Err(SpiffeIdError::NoTrustDomain);
        }
        if name.starts_with(SCHEME) {
            return Err(SpiffeIdError::SchemeInTrustDomain);
        }
        if name.len() > MAX_TRUST_DOMAIN_BYTES {
            return Err(SpiffeIdError::LongTrustDomain);
        }
        match name.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '-' | '_')) {
            None => Ok(Self(name.into())),
            Some('@' | ':') => Err(SpiffeIdError::UserinfoOrPort),
            Some('%') => Err(SpiffeIdError::PercentInTrustDomain),
            Some('?' | '#') => Err(SpiffeIdError::QueryOrFragment),
            Some('A'..='Z') => Err(SpiffeIdError::UpperCaseTrustDomain),
            Some(found) => Err(SpiffeIdError::TrustDomainCharacter(found)),
        }
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SPIFFE ID, `spiffe://<trust domain>/<path>`: the name that an X.509-SVID gives to a workload.
///
/// Guarantees the rules ID-01 to ID-15 of SPIFFE-ID, so that two IDs name the same workload exactly when
/// their texts are equal. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    uri: Arc<str>,
    trust_domain: TrustDomain,
}

impl SpiffeId {
    /// `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`, as Istio names workloads.
    pub fn workload(
        trust_domain: &TrustDomain,
        namespace: &str,
        service_account: &str,
    ) -> Result<Self, SpiffeIdError> {
        check_segment(namespace)?;
        check_segment(service_account)?;
        let id = trust_domain.with_path(&format!("/ns/{namespace}/sa/{service_account}"));
        if id.uri.len() > MAX_ID_BYTES {
            return Err(SpiffeIdError::LongId);
        }
        Ok(id)
    }

    /// The CA's own identity, `spiffe://<trust domain>/signet/ca`. No workload can have it, for workloads
    /// live under `/ns/`.
    pub fn certificate_authority(trust_domain: &TrustDomain) -> Self {
        trust_domain.with_path("/signet/ca")
    }

    /// The whole URI.
    pub fn as_str(&self) -> &str {
        &self.uri
    }

    /// The trust domain that vouches for it.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Empty for the trust domain's own ID, else it begins with '/'.
    pub fn path(&self) -> &str {
        self.uri.get(SCHEME.len() + self.trust_domain.0.len()..).unwrap_or_default()
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(uri: &str) -> Result<Self, SpiffeIdError> {
        if uri.len() > MAX_ID_BYTES {
            return Err(SpiffeIdError::LongId);
        }
        let rest = uri.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
        let (trust_domain, path) = match rest.split_once('/') {
            Some((trust_domain, path)) => (trust_domain, Some(path)),
            None => (rest, None),
        };
        let trust_domain = trust_domain.parse()?;
        match path {
            None => {}
            Some(path) if path.is_empty() || path.ends_with('/') => return Err(SpiffeIdError::TrailingSlash),
            Some(path) => path.split('/').try_for_each(check_segment)?,
        }
        Ok(Self { uri: uri.into(), trust_domain })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

/// The rule of SPIFFE-ID that a text breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeIdError {
    /// ID-01.
    #[error("a SPIFFE ID begins with `spiffe://`, in lower case (ID-01)")]
    Scheme,
    /// The name alone is wanted.
    #[error("leave out `spiffe://`: a trust domain is a name alone")]
    SchemeInTrustDomain,
    /// ID-02.
    #[error("the trust domain is empty (ID-02)")]
    NoTrustDomain,
    /// ID-03.
    #[error("a SPIFFE ID has no query and no fragment (ID-03)")]
    QueryOrFragment,
    /// ID-04.
    #[error("a SPIFFE ID has no user information and no port (ID-04)")]
    UserinfoOrPort,
    /// ID-05.
    #[error("a trust domain is written in lower case (ID-05)")]
    UpperCaseTrustDomain,
    /// ID-06.
    #[error("{0:?} in the trust domain: only a-z, 0-9, '.', '-' and '_' may stand there (ID-06)")]
    TrustDomainCharacter(char),
    /// ID-07.
    #[error("a trust domain has no percent-encoding (ID-07)")]
    PercentInTrustDomain,
    /// ID-09.
    #[error("a path has no percent-encoding (ID-09)")]
    PercentInPath,
    /// ID-10.
    #[error("a path has no empty, `.` or `..` segment (ID-10)")]
    DotOrEmptySegment,
    /// ID-11.
    #[error("a SPIFFE ID does not end in '/' (ID-11)")]
    TrailingSlash,
    /// ID-12.
    #[error("{0:?} in the path: only a-z, A-Z, 0-9, '.', '-' and '_' may stand in a segment (ID-12)")]
    PathCharacter(char),
    /// ID-13 and ID-14.
    #[error("a SPIFFE ID has at most 2048 bytes (ID-13)")]
    LongId,
    /// ID-15.
    #[error("a trust domain has at most 255 bytes (ID-15)")]
    LongTrustDomain,
}

impl SpiffeIdError {
    /// The number of the rule, such as `ID-03`; `None` of what is no rule of SPIFFE's.
    pub fn rule(&self) -> Option<&'static str> {
        Some(match self {
            Self::Scheme => "ID-01",
            Self::SchemeInTrustDomain => return None,
            Self::NoTrustDomain => "ID-02",
            Self::QueryOrFragment => "ID-03",
            Self::UserinfoOrPort => "ID-04",
            Self::UpperCaseTrustDomain => "ID-05",
            Self::TrustDomainCharacter(_) => "ID-06",
            Self::PercentInTrustDomain => "ID-07",
            Self::PercentInPath => "ID-09",
            Self::DotOrEmptySegment => "ID-10",
            Self::TrailingSlash => "ID-11",
            Self::PathCharacter(_) => "ID-12",
            Self::LongId => "ID-13",
            Self::LongTrustDomain => "ID-15",
        })
    }
}

const SCHEME: &str = "spiffe://";
/// ID-13.
const MAX_ID_BYTES: usize = 2048;
/// ID-15, from the limit of a host in RFC 3986.
const MAX_TRUST_DOMAIN_BYTES: usize = 255;

fn check_segment(segment: &str) -> Result<(), SpiffeIdError> {
    if matches!(segment, "" | "." | "..") {
        return Err(SpiffeIdError::DotOrEmptySegment);
    }
    match segment.chars().find(|c| !matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_')) {
        None => Ok(()),
        Some('%') => Err(SpiffeIdError::PercentInPath),
        Some('?' | '#') => Err(SpiffeIdError::QueryOrFragment),
        Some(found) => Err(SpiffeIdError::PathCharacter(found)),
    }
}

#[cfg(test)]
mod tests;
