//! What a request brings to show who is calling.

use std::fmt;

use ring::digest::{Context, SHA256};
use signet_identity::jwt::MAX_TOKEN_BYTES;
use tonic::metadata::MetadataMap;

/// Longest cluster name, as of a DNS name (RFC 1035 §2.3.4).
const MAX_CLUSTER_BYTES: usize = 253;

/// What the caller shows, as it stands in the request's metadata. Nothing of it is proven.
#[derive(Clone, Copy)]
pub struct Credentials<'m> {
    token: &'m str,
    cluster: &'m str,
}

/// Why there is nothing to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// No `authorization` value that begins with `Bearer `.
    #[error("the request carries no bearer token")]
    NoToken,
    /// Longer than any token that is looked at.
    #[error("the bearer token has {0} bytes, more than {MAX_TOKEN_BYTES}")]
    TokenTooLong(usize),
}

impl<'m> Credentials<'m> {
    /// Reads the metadata as Istio's CA does: the first `authorization` value that begins with `Bearer ` is
    /// the token; `clusterid` counts only if there is exactly one.
    ///
    /// # Errors
    /// No token, or one over our limit.
    pub fn from_metadata(metadata: &'m MetadataMap) -> Result<Self, CredentialsError> {
        let token = bearer(metadata).ok_or(CredentialsError::NoToken)?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(CredentialsError::TokenTooLong(token.len()));
        }
        Ok(Self { token, cluster: cluster(metadata).unwrap_or_default() })
    }

    pub(crate) fn token(&self) -> &'m str {
        self.token
    }

    /// SHA-256 over cluster and token, each with its length: two different pairs never have one digest.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(&self.cluster.len().to_be_bytes());
        context.update(self.cluster.as_bytes());
        context.update(self.token.as_bytes());
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

fn bearer(metadata: &MetadataMap) -> Option<&str> {
    metadata
        .get_all("authorization")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(|value| value.strip_prefix("Bearer "))
}

fn cluster(metadata: &MetadataMap) -> Option<&str> {
    let mut values = metadata.get_all("clusterid").iter();
    match (values.next(), values.next()) {
        (Some(only), None) => only.to_str().ok().filter(|name| name.len() <= MAX_CLUSTER_BYTES),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(pairs: &[(&'static str, &str)]) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        for (name, value) in pairs {
            metadata.append(*name, value.parse().unwrap());
        }
        metadata
    }

    #[test]
    fn the_first_bearer_value_is_the_token() {
        for (case, pairs, token) in [
            ("one", &[("authorization", "Bearer a.b.c")][..], "a.b.c"),
            ("behind basic", &[("authorization", "Basic eA=="), ("authorization", "Bearer a.b.c")], "a.b.c"),
            ("two", &[("authorization", "Bearer first"), ("authorization", "Bearer second")], "first"),
        ] {
            let metadata = metadata(pairs);
            let credentials = Credentials::from_metadata(&metadata).unwrap();
            assert_eq!(credentials.token(), token, "{case}");
        }
    }

    #[test]
    fn a_request_without_a_usable_token_is_refused() {
        let long = format!("Bearer {}", "x".repeat(MAX_TOKEN_BYTES + 1));
        for (case, pairs, error) in [
            ("no metadata", &[][..], CredentialsError::NoToken),
            ("another scheme", &[("authorization", "Basic eA==")], CredentialsError::NoToken),
            ("lower case", &[("authorization", "bearer a.b.c")], CredentialsError::NoToken),
            ("too long", &[("authorization", &long)], CredentialsError::TokenTooLong(MAX_TOKEN_BYTES + 1)),
        ] {
            assert_eq!(Credentials::from_metadata(&metadata(pairs)).unwrap_err(), error, "{case}");
        }
    }

    #[test]
    fn a_cluster_counts_only_if_it_is_named_once() {
        let token = ("authorization", "Bearer t");
        let digest = |pairs: &[_]| Credentials::from_metadata(&metadata(pairs)).unwrap().digest();

        let none = digest(&[token]);
        assert_ne!(digest(&[token, ("clusterid", "east")]), none);
        assert_eq!(digest(&[token, ("clusterid", "east"), ("clusterid", "west")]), none);
        assert_eq!(digest(&[token, ("clusterid", &"x".repeat(254))]), none);
    }

    #[test]
    fn debug_output_never_shows_the_token() {
        let metadata = metadata(&[("authorization", "Bearer secret")]);

        assert!(!format!("{:?}", Credentials::from_metadata(&metadata).unwrap()).contains("secret"));
    }
}
