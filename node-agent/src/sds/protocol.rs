//! The two protocols of SDS, state of the world and delta, in terms of one [`Subscription`].

use signet_identity::TrustDomain;
use signet_proto::{
    SECRET_TYPE_URL,
    envoy::service::discovery::v3::{
        DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
    },
    google::rpc,
};

use super::{
    fault::RequestFault,
    resource_name::ResourceName,
    secret::version_of,
    subscription::{Contents, Heard, Push, Subscription},
};

/// How requests change a subscription and how what it owes is put.
pub(crate) trait Protocol: Send + 'static {
    /// What the proxy sends.
    type Request: Send + 'static;
    /// What it is sent.
    type Response: Send + 'static;

    /// Takes a request in. The answer, if one is owed, is up to [`Protocol::push`].
    fn receive(
        subscription: &mut Subscription,
        request: Self::Request,
        trust_domain: &TrustDomain,
    ) -> Result<Option<Rejection>, RequestFault>;

    /// What is to be sent now, if anything.
    fn push(subscription: &mut Subscription, current: impl Contents) -> Option<Push>;

    /// The same in the protocol's words.
    fn response(push: Push) -> Self::Response;
}

/// A NACK: the proxy could not use what it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// The proxy's own words, cut to a bound.
    pub(crate) reason: String,
}

impl Rejection {
    /// `None` for an ACK, and for a NACK that was heard before.
    fn of(subscription: &mut Subscription, nonce: &str, error: Option<rpc::Status>) -> Option<Self> {
        let error = error?;
        let reason = error.message.chars().take(LONGEST_REASON).collect();
        subscription.reject(nonce).then_some(Self { reason })
    }
}

/// State of the world: each request names all that the client wants.
#[derive(Debug)]
pub(crate) struct StateOfTheWorld;

impl Protocol for StateOfTheWorld {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;

    fn receive(
        subscription: &mut Subscription,
        request: DiscoveryRequest,
        trust_domain: &TrustDomain,
    ) -> Result<Option<Rejection>, RequestFault> {
        RequestFault::check_type_url(&request.type_url)?;
        let names = parse_all(&request.resource_names, trust_domain)?;
        if subscription.hear(&request.response_nonce) == Heard::Current {
            subscription.replace(names);
        }
        // What a stale request wants is out of date; that a response was rejected is not.
        Ok(Rejection::of(subscription, &request.response_nonce, request.error_detail))
    }

    fn push(subscription: &mut Subscription, current: impl Contents) -> Option<Push> {
        subscription.push_together(current)
    }

    fn response(push: Push) -> DiscoveryResponse {
        let version_info = match push.secrets.as_slice() {
            [(_, secret)] => secret.version().to_string(),
            several => version_of(several.iter().map(|(_, secret)| secret.version().as_bytes())).to_string(),
        };
        let resources = push.secrets.iter().map(|(name, secret)| secret.resource(name.as_str())).collect();
        DiscoveryResponse { version_info, resources, type_url: SECRET_TYPE_URL.to_owned(), nonce: push.nonce }
    }
}

/// Delta: each request says what has changed in what the client wants.
#[derive(Debug)]
pub(crate) struct Delta;

impl Protocol for Delta {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;

    /// What a reconnecting client still holds (`initial_resource_versions`) is not looked at: it is answered in
    /// any case, and the same content changes nothing for it.
    fn receive(
        subscription: &mut Subscription,
        request: DeltaDiscoveryRequest,
        trust_domain: &TrustDomain,
    ) -> Result<Option<Rejection>, RequestFault> {
        RequestFault::check_type_url(&request.type_url)?;
        check_count(request.resource_names_unsubscribe.len())?;
        for name in &request.resource_names_unsubscribe {
            subscription.unsubscribe(name);
        }
        for name in parse_all(&request.resource_names_subscribe, trust_domain)? {
            subscription.subscribe(name);
        }
        check_count(subscription.names().count())?;
        Ok(Rejection::of(subscription, &request.response_nonce, request.error_detail))
    }

    fn push(subscription: &mut Subscription, current: impl Contents) -> Option<Push> {
        subscription.push_each(current)
    }

    fn response(push: Push) -> DeltaDiscoveryResponse {
        let resources = push.secrets.iter().map(|(name, secret)| Resource {
            version: secret.version().to_string(),
            resource: Some(secret.resource(name.as_str())),
            name: name.to_string(),
        });
        DeltaDiscoveryResponse {
            resources: resources.collect(),
            type_url: SECRET_TYPE_URL.to_owned(),
            nonce: push.nonce,
            ..Default::default()
        }
    }
}

fn parse_all(names: &[String], trust_domain: &TrustDomain) -> Result<Vec<ResourceName>, RequestFault> {
    check_count(names.len())?;
    names.iter().map(|name| ResourceName::parse(name, trust_domain)).collect()
}

fn check_count(count: usize) -> Result<(), RequestFault> {
    if count > MOST_NAMES { Err(RequestFault::TooManyNames { count, max: MOST_NAMES }) } else { Ok(()) }
}

/// A workload has five: `default` and its SPIFFE ID, `ROOTCA` and the two names of its trust domain.
pub(super) const MOST_NAMES: usize = 16;
/// In characters. Envoy's own are shorter than 200.
const LONGEST_REASON: usize = 500;

#[cfg(test)]
mod tests;
