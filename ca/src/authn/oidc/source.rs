//! Where an issuer's keys are found: a file, a URL, or by discovery.

use std::path::PathBuf;

use reqwest::Url;
use serde::Deserialize;
use signet_identity::jwt::{Jwks, JwksError};

use super::{
    DevelopmentKeys,
    fetch::{self, FetchError, Fetcher, HttpClient},
};

/// Where the JWKS of one issuer is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `<base>/.well-known/openid-configuration` names it (OpenID Connect Discovery 1.0 §4). The document's
    /// `issuer` must equal the configured one.
    Discovery {
        /// Where the document is, without the well-known path.
        base: Url,
        /// How it and the key set are fetched.
        fetcher: Fetcher,
        /// Whether the key set may be fetched without TLS.
        transport: Transport,
    },
    /// At this URL.
    Url {
        /// The JWKS itself.
        url: Url,
        /// How it is fetched.
        fetcher: Fetcher,
    },
    /// In this file, read anew whenever its content matters: a Kubernetes `..data` swap needs no notice.
    File(PathBuf),
}

/// Whether keys may travel without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `https`, or `http` to this machine itself.
    Secure,
    /// Any `http` too: a CA in development mode.
    Any,
}

/// Why an issuer's keys could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No document.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The discovery document is no such document.
    #[error("{url} is no OpenID discovery document")]
    NotDiscovery {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The discovery document speaks for somebody else.
    #[error(
        "{url} speaks for the issuer `{found}`, not for the configured one; set `url` to what tokens carry as `iss`"
    )]
    OtherIssuer {
        /// What was asked for.
        url: String,
        /// Whom the document names.
        found: String,
    },
    /// The discovery document sends us to a place we don't take keys from.
    #[error("the discovery document names the key set `{uri}`; want an https URL")]
    Insecure {
        /// Its `jwks_uri`.
        uri: String,
    },
    /// The document holds no usable key.
    #[error("{origin} is no usable key set")]
    Keys {
        /// File or URL.
        origin: String,
        /// What is wrong with it.
        source: JwksError,
    },
    /// A key set without any key that we can use. Taken as a fault of the source, not as a withdrawal.
    #[error(
        "{origin} holds no key that can be used; want RSA of 2048 bits and more, ECDSA P-256 or P-384, or Ed25519"
    )]
    NoKeys {
        /// File or URL.
        origin: String,
    },
    /// Keys of a development issuer, and we are not in development.
    #[error(
        "{origin} holds keys of a development issuer, which anyone with its file can use; start with `--development`, or use the keys of the real issuer"
    )]
    Development {
        /// File or URL.
        origin: String,
    },
}

impl Source {
    /// The key set document as it is now.
    pub(super) async fn document(
        &self,
        client: &mut HttpClient,
        issuer: &str,
    ) -> Result<Vec<u8>, SourceError> {
        match self {
            Self::File(path) => Ok(fetch::read_file(path)?),
            Self::Url { url, fetcher } => Ok(fetcher.get(client, url).await?),
            Self::Discovery { base, fetcher, transport } => {
                let url = discovery_url(base);
                let document = fetcher.get(client, &url).await?;
                let key_set = key_set_url(&document, &url, issuer, *transport)?;
                Ok(fetcher.get(client, &key_set).await?)
            }
        }
    }

    /// The keys in a document of this source.
    pub(super) fn keys(&self, document: &[u8], development: DevelopmentKeys) -> Result<Jwks, SourceError> {
        let jwks = Jwks::from_json(document)
            .map_err(|source| SourceError::Keys { origin: self.origin(), source })?;
        if jwks.is_empty() {
            return Err(SourceError::NoKeys { origin: self.origin() });
        }
        if jwks.is_development() && development == DevelopmentKeys::Refused {
            return Err(SourceError::Development { origin: self.origin() });
        }
        Ok(jwks)
    }

    /// What is wrong with the files that the source names, each with its key of the configuration. No server
    /// is asked: it may come up later than we do.
    pub fn judge_files(&self, development: DevelopmentKeys) -> Vec<(&'static str, SourceError)> {
        match self {
            Self::File(path) => {
                let keys = fetch::read_file(path).map_err(SourceError::from);
                let judged = keys.and_then(|document| self.keys(&document, development));
                judged.err().map(|error| ("jwks_file", error)).into_iter().collect()
            }
            Self::Url { fetcher, .. } | Self::Discovery { fetcher, .. } => {
                fetcher.judge_files().into_iter().map(|(key, error)| (key, error.into())).collect()
            }
        }
    }

    /// For messages: the file, the URL, or the discovery document.
    pub(super) fn origin(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Url { url, .. } => url.to_string(),
            Self::Discovery { base, .. } => format!("the key set of {}", discovery_url(base)),
        }
    }
}

impl Transport {
    /// Whether keys may come from `url`.
    pub fn allows(self, url: &Url) -> bool {
        match url.scheme() {
            "https" => true,
            "http" => self == Self::Any || is_loopback(url),
            _ => false,
        }
    }
}

/// The parts of a discovery document that we use.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

fn discovery_url(base: &Url) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/.well-known/openid-configuration", base.path().trim_end_matches('/')));
    url
}

fn key_set_url(document: &[u8], url: &Url, issuer: &str, transport: Transport) -> Result<Url, SourceError> {
    let discovery: Discovery = serde_json::from_slice(document)
        .map_err(|source| SourceError::NotDiscovery { url: url.to_string(), source })?;
    if discovery.issuer != issuer {
        return Err(SourceError::OtherIssuer { url: url.to_string(), found: discovery.issuer });
    }
    let key_set = Url::parse(&discovery.jwks_uri).ok().filter(|key_set| transport.allows(key_set));
    key_set.ok_or(SourceError::Insecure { uri: discovery.jwks_uri })
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
