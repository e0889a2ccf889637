//! What can be wrong with a request of a proxy.

use std::error::Error;

use signet_identity::{SpiffeId, TrustDomain};
use signet_proto::SECRET_TYPE_URL;
use tonic::{Code, Status};

use super::service::MOST_REQUEST_BYTES;

/// A request that can never be answered as it is. The text goes to the proxy, whose log shows it; it repeats
/// what the proxy said, and tells nothing that the proxy does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestFault {
    /// An identity that is not the asker's.
    #[error("`{asked}` is another workload's identity; this one is `{own}`: ask for that, or for `default`")]
    NotYours {
        /// As asked for.
        asked: SpiffeId,
        /// The asker's.
        own: SpiffeId,
    },
    /// Nothing that the agent serves.
    #[error(
        "no secret `{name}`; this agent serves `default`, `ROOTCA`, `{trust_domain}`, `spiffe://{trust_domain}` and the workload's own SPIFFE ID"
    )]
    UnknownName {
        /// As asked for.
        name: String,
        /// The agent's.
        trust_domain: TrustDomain,
    },
    /// Longer than any SPIFFE ID.
    #[error("a secret's name has {bytes} bytes, more than the {max} of the longest SPIFFE ID")]
    NameTooLong {
        /// As asked for.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// More names than there are secrets to have.
    #[error("{count} secrets asked for on one stream; at most {max} are served")]
    TooManyNames {
        /// As asked for.
        count: usize,
        /// The bound.
        max: usize,
    },
    /// Longer than any proxy's.
    #[error("a request for secrets has more than {MOST_REQUEST_BYTES} bytes")]
    TooLong,
    /// Not protobuf, or compressed, or of another shape. The text is tonic's.
    #[error("a request for secrets cannot be read: {0}")]
    Unreadable(String),
    /// Not an SDS request.
    #[error("type URL `{0}` is not served here; secrets are `{SECRET_TYPE_URL}`")]
    WrongTypeUrl(String),
}

impl RequestFault {
    pub(super) fn unknown_name(name: &str, trust_domain: &TrustDomain) -> Self {
        Self::UnknownName { name: name.to_owned(), trust_domain: trust_domain.clone() }
    }

    /// What tonic says of a message that it did not hand on; `None` when the peer is gone.
    pub(super) fn of_unread(status: &Status) -> Option<Self> {
        match status.code() {
            _ if status.source().is_some() => None,
            Code::OutOfRange => Some(Self::TooLong),
            _ => Some(Self::Unreadable(status.message().to_owned())),
        }
    }

    /// The type URL is implied on this service, so an empty one is right.
    pub(super) fn check_type_url(type_url: &str) -> Result<(), Self> {
        match type_url {
            "" | SECRET_TYPE_URL => Ok(()),
            other => Err(Self::WrongTypeUrl(other.chars().take(QUOTED_CHARS).collect())),
        }
    }
}

impl From<RequestFault> for Status {
    fn from(fault: RequestFault) -> Self {
        let code = match fault {
            RequestFault::NotYours { .. } => Code::PermissionDenied,
            RequestFault::UnknownName { .. } => Code::NotFound,
            RequestFault::NameTooLong { .. }
            | RequestFault::TooManyNames { .. }
            | RequestFault::TooLong
            | RequestFault::Unreadable(_)
            | RequestFault::WrongTypeUrl(_) => Code::InvalidArgument,
        };
        Self::new(code, fault.to_string())
    }
}

/// How much of a proxy's own words is repeated to it.
const QUOTED_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_its_status() {
        let trust_domain: TrustDomain = "td.test".parse().unwrap();
        for (fault, code) in [
            (
                RequestFault::NotYours {
                    asked: "spiffe://td.test/ns/a/sa/b".parse().unwrap(),
                    own: "spiffe://td.test/ns/a/sa/c".parse().unwrap(),
                },
                Code::PermissionDenied,
            ),
            (RequestFault::unknown_name("foo", &trust_domain), Code::NotFound),
            (RequestFault::NameTooLong { bytes: 3000, max: 2048 }, Code::InvalidArgument),
            (RequestFault::TooManyNames { count: 10_000, max: 16 }, Code::InvalidArgument),
            (RequestFault::check_type_url("type.googleapis.com/x.Y").unwrap_err(), Code::InvalidArgument),
        ] {
            assert_eq!(Status::from(fault.clone()).code(), code, "{fault}");
        }
    }

    #[test]
    fn a_secret_and_an_empty_type_url_are_right() {
        assert_eq!(RequestFault::check_type_url(""), Ok(()));
        assert_eq!(RequestFault::check_type_url(SECRET_TYPE_URL), Ok(()));
    }
}
