//! What an agent sends.

use prost::{DecodeError, Message};
use signet_proto::envoy::{
    extensions::transport_sockets::tls::v3::Secret,
    service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse},
};

use super::SdsError;

/// Secrets as the agent sent them.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// Names this push in the answer to it.
    pub nonce: String,
    /// Version of the response (state of the world), or empty (delta).
    pub version: String,
    /// What came.
    pub secrets: Vec<PushedSecret>,
}

/// One secret of a push.
#[derive(Debug, Clone, PartialEq)]
pub struct PushedSecret {
    /// The name it was subscribed under.
    pub name: String,
    /// Its own version (delta), or that of the response.
    pub version: String,
    /// Key and chain, or trusted CA certificates.
    pub secret: Secret,
}

impl Push {
    pub(super) fn from_sotw(response: DiscoveryResponse) -> Result<Self, SdsError> {
        let version = response.version_info;
        let secrets = response.resources.iter().map(|resource| {
            let secret = Secret::decode(resource.value.as_slice())?;
            Ok(PushedSecret { name: secret.name.clone(), version: version.clone(), secret })
        });
        let secrets = secrets.collect::<Result<_, DecodeError>>().map_err(SdsError::Malformed)?;
        Ok(Self { nonce: response.nonce, secrets, version })
    }

    pub(super) fn from_delta(response: DeltaDiscoveryResponse) -> Result<Self, SdsError> {
        let secrets = response.resources.into_iter().map(|resource| {
            let secret = Secret::decode(resource.resource.unwrap_or_default().value.as_slice())?;
            Ok(PushedSecret { name: resource.name, version: resource.version, secret })
        });
        let secrets = secrets.collect::<Result<_, DecodeError>>().map_err(SdsError::Malformed)?;
        Ok(Self { nonce: response.nonce, secrets, version: String::new() })
    }
}
