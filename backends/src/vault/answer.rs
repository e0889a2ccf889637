//! What an HTTP answer of Vault's means.

use std::time::Duration;

use reqwest::{
    StatusCode,
    header::{HeaderMap, LOCATION, RETRY_AFTER},
};
use serde::{Deserialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::{VaultError, error::sanitised};

/// An answer, whole, as it came.
pub(super) struct Raw {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// May hold a token.
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// A good answer.
pub(super) struct Answer<T> {
    /// What it is about.
    pub(super) data: Option<T>,
    /// What a login gives.
    pub(super) auth: Option<Auth>,
    /// Of the request in Vault's audit log.
    pub(super) request_id: String,
    /// What it did differently than asked, silently but for this.
    pub(super) warnings: Vec<String>,
}

/// What a login, or the renewal of one, gives.
#[derive(Deserialize)]
pub(super) struct Auth {
    pub(super) client_token: Zeroizing<String>,
    /// `service` or `batch`.
    #[serde(default)]
    pub(super) token_type: String,
    /// In seconds; 0: for ever.
    pub(super) lease_duration: u64,
    pub(super) renewable: bool,
}

#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(default)]
    request_id: String,
    data: Option<T>,
    auth: Option<Auth>,
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<String>,
}

impl Raw {
    /// The answer to `path` by the Vault at `address`.
    pub(super) fn judged<T: DeserializeOwned>(
        self,
        address: &str,
        path: &str,
    ) -> Result<Answer<T>, VaultError> {
        if self.status.is_success() {
            return self.parsed(path);
        }
        let (address, path) = (address.to_owned(), path.to_owned());
        let reason = self.reason();
        let retry_after = self.retry_after();
        Err(match self.status.as_u16() {
            300..=399 => match self.headers.get(LOCATION).and_then(|to| to.to_str().ok()) {
                Some(to) => VaultError::Redirected { address, to: sanitised(to) },
                None => VaultError::Standby { address },
            },
            400 => VaultError::Refused { path, reason },
            401 | 403 => VaultError::Denied { path, reason },
            404 | 405 => VaultError::NoSuchPath { path },
            429 => VaultError::RateLimited { retry_after },
            503 if reason.contains("sealed") => VaultError::Sealed { address },
            503 if reason.contains("standby") || reason.contains("not active") => {
                VaultError::Standby { address }
            }
            status => VaultError::Failing { status, reason, retry_after },
        })
    }

    fn parsed<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, VaultError> {
        if self.body.is_empty() {
            return Ok(Answer { data: None, auth: None, request_id: String::new(), warnings: Vec::new() });
        }
        // What serde says about JSON names fields and places, and quotes a value only where a type is wrong:
        // no token is anything but text.
        let envelope: Envelope<T> =
            serde_json::from_slice(&self.body).map_err(|error| VaultError::Nonsense {
                path: path.to_owned(),
                reason: format!("its JSON is wrong at line {} column {}", error.line(), error.column()),
            })?;
        let Envelope { request_id, data, auth, warnings } = envelope;
        Ok(Answer { data, auth, request_id, warnings: warnings.unwrap_or_default() })
    }

    fn reason(&self) -> String {
        match serde_json::from_slice::<Errors>(&self.body) {
            Ok(Errors { errors }) if !errors.is_empty() => sanitised(&errors.join("; ")),
            _ => "it does not say why".to_owned(),
        }
    }

    /// In seconds; the other form, a date, is not sent by Vault.
    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
    }
}

/// As good as for ever, and no number that time cannot be counted by.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

impl<T> Answer<T> {
    /// What it is about, which must be there.
    pub(super) fn required(self, path: &str) -> Result<T, VaultError> {
        self.data
            .ok_or_else(|| VaultError::Nonsense { path: path.to_owned(), reason: "it is empty".to_owned() })
    }
}

#[cfg(test)]
mod tests;
