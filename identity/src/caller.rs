//! Who is asking.

use crate::jwt::{KubernetesClaims, VerifiedToken};
use crate::{Pod, SpiffeId, SpiffeIdError, TrustDomain};

/// An authenticated caller, and the one identity it may request. Made only from a verified credential.
#[derive(Debug, Clone)]
pub struct Caller {
    identity: SpiffeId,
    subject: String,
    issuer: String,
    pod: Pod,
}

impl Caller {
    /// The service account that a token was issued to.
    ///
    /// Its `sub` must be `system:serviceaccount:<namespace>:<service account>`; the `kubernetes.io` claims,
    /// where there are any, must say the same.
    pub fn from_service_account(
        token: &VerifiedToken,
        trust_domain: &TrustDomain,
    ) -> Result<Self, NotAServiceAccount> {
        let subject = token.subject();
        let (namespace, service_account) =
            parts(subject).ok_or_else(|| NotAServiceAccount::Subject { subject: subject.to_owned() })?;
        if let Some(claims) = token.kubernetes().filter(|claims| !agree(claims, namespace, service_account)) {
            return Err(NotAServiceAccount::Contradiction {
                subject: subject.to_owned(),
                claims: format!("{}/{}", claims.namespace, claims.service_account),
            });
        }
        Ok(Self {
            identity: SpiffeId::workload(trust_domain, namespace, service_account)
                .map_err(NotAServiceAccount::Name)?,
            subject: subject.to_owned(),
            issuer: token.issuer().to_owned(),
            pod: token.kubernetes().map(|claims| claims.pod.clone()).unwrap_or_default(),
        })
    }

    /// The one identity this caller may request.
    pub fn identity(&self) -> &SpiffeId {
        &self.identity
    }

    /// `sub` of its token, for the audit.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Who vouches for it: `iss` of its token.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The pod it runs in, as far as the token says.
    pub fn pod(&self) -> &Pod {
        &self.pod
    }
}

/// Why a verified token makes no caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAServiceAccount {
    /// The subject is a user, a node, or something of another issuer.
    #[error("the token's subject {subject:?} is not `system:serviceaccount:<namespace>:<service account>`")]
    Subject {
        /// `sub` of the token.
        subject: String,
    },
    /// The token names two different service accounts.
    #[error("the token's subject {subject:?} and its claims `kubernetes.io`, of {claims:?}, disagree")]
    Contradiction {
        /// `sub` of the token.
        subject: String,
        /// `<namespace>/<service account>` of the claims.
        claims: String,
    },
    /// Namespace or service account cannot stand in a SPIFFE ID.
    #[error("the token's namespace or service account cannot stand in a SPIFFE ID")]
    Name(#[source] SpiffeIdError),
}

pub(crate) fn parts(subject: &str) -> Option<(&str, &str)> {
    let (namespace, service_account) = subject.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    (!service_account.contains(':')).then_some((namespace, service_account))
}

fn agree(claims: &KubernetesClaims, namespace: &str, service_account: &str) -> bool {
    claims.namespace == namespace && claims.service_account == service_account
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::verified_token;
    use serde_json::json;

    fn caller(subject: &str, kubernetes: serde_json::Value) -> Result<Caller, NotAServiceAccount> {
        Caller::from_service_account(&verified_token(subject, kubernetes), &"cluster.local".parse().unwrap())
    }

    #[test]
    fn a_service_account_may_request_its_own_identity() {
        let claims = json!({
            "namespace": "shop", "serviceaccount": {"name": "cart"},
            "pod": {"name": "cart-7", "uid": "1-2"}, "node": {"name": "node-a", "uid": "3-4"},
        });
        let caller = caller("system:serviceaccount:shop:cart", claims).unwrap();
        assert_eq!(caller.identity().as_str(), "spiffe://cluster.local/ns/shop/sa/cart");
        assert_eq!(caller.subject(), "system:serviceaccount:shop:cart");
        assert_eq!(caller.issuer(), crate::jwt::DEVELOPMENT_ISSUER);
        let pod = |name: &str| Some(name.to_owned());
        assert_eq!(*caller.pod(), Pod { name: pod("cart-7"), uid: pod("1-2"), node: pod("node-a") });
    }

    #[test]
    fn a_token_without_kubernetes_claims_will_do() {
        let caller = caller("system:serviceaccount:shop:cart", json!(null)).unwrap();
        assert_eq!(*caller.pod(), Pod::default());
    }

    #[test]
    fn other_subjects_are_refused() {
        for subject in [
            "admin",
            "system:node:node-a",
            "system:serviceaccount:shop",
            "system:serviceaccount:shop:cart:extra",
            "SYSTEM:serviceaccount:shop:cart",
            " system:serviceaccount:shop:cart",
        ] {
            let refusal = NotAServiceAccount::Subject { subject: subject.to_owned() };
            assert_eq!(caller(subject, json!(null)).unwrap_err(), refusal);
        }
    }

    #[test]
    fn names_that_would_reach_elsewhere_are_refused() {
        for subject in
            ["system:serviceaccount:..:cart", "system:serviceaccount:a/sa/b:c", "system:serviceaccount::c"]
        {
            assert!(matches!(caller(subject, json!(null)), Err(NotAServiceAccount::Name(_))), "{subject}");
        }
    }

    #[test]
    fn a_token_that_contradicts_itself_is_refused() {
        for (namespace, name) in [("shop", "admin"), ("other", "cart")] {
            let claims = json!({"namespace": namespace, "serviceaccount": {"name": name}});
            let refusal = caller("system:serviceaccount:shop:cart", claims).unwrap_err();
            let NotAServiceAccount::Contradiction { claims, .. } = refusal else { panic!("{refusal:?}") };
            assert_eq!(claims, format!("{namespace}/{name}"));
        }
    }
}
