//! One request, as an endpoint of vaultrs lays it out.

use rustify::{Endpoint, enums::RequestMethod};
use zeroize::Zeroizing;

use super::VaultError;

/// What is sent: the body may hold a secret, and is zeroised.
pub(super) struct Request {
    pub(super) method: RequestMethod,
    /// Below `/v1/`.
    pub(super) path: String,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Request {
    /// The request that `endpoint` describes.
    pub(super) fn of(endpoint: &impl Endpoint) -> Result<Self, VaultError> {
        // Some paths of vaultrs have a stray tab or slash at their beginning.
        let path = endpoint.path().trim().trim_matches('/').to_owned();
        let body = endpoint
            .body()
            .map_err(|error| VaultError::Nonsense { path: path.clone(), reason: error.to_string() })?;
        Ok(Self { method: endpoint.method(), path, body: Zeroizing::new(body.unwrap_or_default()) })
    }

    /// The same at another path, for what vaultrs has no endpoint of.
    #[must_use]
    pub(super) fn at(self, path: String) -> Self {
        Self { path, ..self }
    }
}
