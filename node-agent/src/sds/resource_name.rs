//! The names that a proxy may ask for, and what each of them means.

use std::{fmt, sync::Arc};

use signet_identity::{SpiffeId, TrustDomain};

use super::fault::RequestFault;

/// A name that this agent answers. Holding one says nothing about whether the asker may have it: an SVID's
/// name must still be its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ResourceName {
    text: Arc<str>,
    meaning: Meaning,
}

/// What stands behind a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Meaning {
    /// The asker's own certificate and key, whoever it is.
    OwnSvid,
    /// The certificate and key of this identity.
    SvidOf(SpiffeId),
    /// The roots of the agent's trust domain.
    Bundle,
}

impl ResourceName {
    /// `default` and `ROOTCA` are Istio's words; `spiffe://<trust domain>/...`, `spiffe://<trust domain>` and
    /// the bare trust domain are SPIRE's way.
    pub(crate) fn parse(text: &str, trust_domain: &TrustDomain) -> Result<Self, RequestFault> {
        if text.len() > MAX_NAME_BYTES {
            return Err(RequestFault::NameTooLong { bytes: text.len(), max: MAX_NAME_BYTES });
        }
        let meaning = match text {
            OWN_SVID => Meaning::OwnSvid,
            BUNDLE => Meaning::Bundle,
            _ if text == trust_domain.as_str() || text == trust_domain.id().as_str() => Meaning::Bundle,
            _ => Self::svid(text, trust_domain)?,
        };
        Ok(Self { text: text.into(), meaning })
    }

    fn svid(text: &str, trust_domain: &TrustDomain) -> Result<Meaning, RequestFault> {
        match text.parse::<SpiffeId>() {
            Ok(id) if id.trust_domain() == trust_domain => Ok(Meaning::SvidOf(id)),
            Ok(_) | Err(_) => Err(RequestFault::unknown_name(text, trust_domain)),
        }
    }

    /// As the proxy wrote it, and as it wants to see it in the answer.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands behind it.
    pub(crate) fn meaning(&self) -> &Meaning {
        &self.meaning
    }

    /// Whether a certificate is asked for, and not roots.
    pub(crate) fn is_svid(&self) -> bool {
        self.meaning != Meaning::Bundle
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Istio's name of the workload's own certificate.
pub(super) const OWN_SVID: &str = "default";
/// Istio's name of the roots.
pub(super) const BUNDLE: &str = "ROOTCA";
/// A SPIFFE ID has at most 2,048 bytes (SPIFFE-ID §2.3), and no other name is longer.
const MAX_NAME_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ResourceName, RequestFault> {
        ResourceName::parse(text, &"td.test".parse().unwrap())
    }

    #[test]
    fn each_name_has_its_meaning() {
        let workload = "spiffe://td.test/ns/a/sa/b";
        for (text, meaning) in [
            ("default", Meaning::OwnSvid),
            ("ROOTCA", Meaning::Bundle),
            ("td.test", Meaning::Bundle),
            ("spiffe://td.test", Meaning::Bundle),
            (workload, Meaning::SvidOf(workload.parse().unwrap())),
        ] {
            let name = parse(text).unwrap();
            assert_eq!(name.meaning(), &meaning, "{text}");
            assert_eq!(name.as_str(), text);
            assert_eq!(name.is_svid(), meaning != Meaning::Bundle, "{text}");
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        for text in
            ["", "Default", "rootca", "*", "ALL", "spiffe://other.test", "spiffe://other.test/ns/a/sa/b"]
        {
            let fault = parse(text).unwrap_err();
            assert!(matches!(fault, RequestFault::UnknownName { .. }), "{text}: {fault:?}");
            assert!(fault.to_string().contains("`default`, `ROOTCA`, `td.test`"), "{fault}");
        }
    }

    #[test]
    fn a_name_longer_than_any_spiffe_id_is_refused_unread() {
        let longest = format!("spiffe://td.test/{}", "a".repeat(MAX_NAME_BYTES - "spiffe://td.test/".len()));
        assert!(parse(&longest).is_ok());
        assert_eq!(
            parse(&format!("{longest}a")),
            Err(RequestFault::NameTooLong { bytes: MAX_NAME_BYTES + 1, max: MAX_NAME_BYTES })
        );
    }
}
