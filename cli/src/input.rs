//! What people have at hand, read alike: PEM, DER, base64 of either, Kubernetes Secrets and ConfigMaps; from a
//! file, standard input, a URL, or a server's TLS handshake.
//!
//! Nothing that is read is trusted. It is bounded in size, in number and, over the network, in time.

mod document;
mod kubernetes;
mod presented;
mod read;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use reqwest::Url;

use crate::flags::TlsAddress;
use crate::task;

/// Where something is read from, as it stands on the command line.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A file.
    File(PathBuf),
    /// `-`.
    StandardInput,
    /// `http://` or `https://`: a document.
    Document(Url),
    /// `tls://HOST:PORT`: the chain that a server presents.
    Server(TlsAddress),
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) der: Vec<u8>,
    /// What it stands in: a file, or one value of an object.
    pub(crate) document: String,
    /// As `chain.pem, 2nd block`, or `orders.yaml, secret shop/orders, tls.crt, 1st block`.
    pub(crate) origin: String,
}

/// What a thing is, by its PEM label or the shape of its DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Certificate,
    /// A certificate signing request.
    Request,
    PrivateKey,
    PublicKey,
    /// Anything else, by its label.
    Other(String),
}

impl Item {
    fn alone(kind: Kind, der: Vec<u8>, document: &str) -> Self {
        Self { kind, der, document: document.to_owned(), origin: document.to_owned() }
    }
}

impl Source {
    /// Everything in it, in its order: at least one thing.
    ///
    /// # Errors
    /// It cannot be had, or nothing known is in it. The error says what was found instead.
    pub(crate) async fn read(&self) -> Result<Vec<Item>> {
        match self {
            Self::Server(address) => presented::chain(address).await,
            _ => read::items(&self.bytes().await?, &self.to_string()),
        }
    }

    /// What is there, as text.
    ///
    /// # Errors
    /// It cannot be had, or is none.
    pub(crate) async fn text(&self) -> Result<String> {
        String::from_utf8(self.bytes().await?).with_context(|| format!("{self} is no text"))
    }

    async fn bytes(&self) -> Result<Vec<u8>> {
        let origin = self.to_string();
        match self {
            Self::File(path) => {
                let file = File::open(path).with_context(|| format!("cannot read {origin}"))?;
                let metadata = file.metadata().with_context(|| format!("cannot read {origin}"))?;
                ensure!(!metadata.is_dir(), "{origin} is a directory: name a file in it");
                bounded(file, &origin)
            }
            Self::StandardInput => bounded(io::stdin().lock(), &origin),
            Self::Document(url) => document::fetch(url).await,
            Self::Server(address) => bail!("{address} presents certificates, and nothing else is read of it"),
        }
    }

    /// The certificates in it: at least one.
    ///
    /// # Errors
    /// As [`Self::read`], or there are other things in it alone.
    pub(crate) async fn certificates(&self) -> Result<Vec<Item>> {
        self.only(Kind::Certificate).await
    }

    /// The things of that kind in it: at least one.
    pub(crate) async fn only(&self, kind: Kind) -> Result<Vec<Item>> {
        let (wanted, others): (Vec<_>, Vec<_>) =
            self.read().await?.into_iter().partition(|item| item.kind == kind);
        if let (true, Some(first)) = (wanted.is_empty(), others.first()) {
            bail!("there is no {kind} in {self}: it has a {} ({})", first.kind, first.origin);
        }
        Ok(wanted)
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://").map(|(scheme, _)| scheme) {
            None if text == "-" => Ok(Self::StandardInput),
            None => Ok(Self::File(text.into())),
            Some("http" | "https") => Url::parse(text).map(Self::Document).map_err(|fault| fault.to_string()),
            Some("tls") => text.parse().map(Self::Server),
            Some(other) => Err(format!("`{other}://` is not read here: want http, https or tls")),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::StandardInput => f.write_str("standard input"),
            Self::Document(url) => write!(f, "{url}"),
            Self::Server(address) => write!(f, "{address}"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Request => "certificate signing request",
            Self::PrivateKey => "private key",
            Self::PublicKey => "public key",
            Self::Other(label) => label,
        })
    }
}

/// The things of that kind in all of these, in their order.
///
/// # Errors
/// One of them cannot be read, or has none; or somebody had enough of waiting.
pub(crate) fn all(sources: &[Source], kind: &Kind) -> Result<Vec<Item>> {
    task::block_on(|stop| async move {
        let mut items = Vec::new();
        for source in sources {
            let read = stop.run_until_cancelled(source.only(kind.clone())).await;
            items.extend(read.unwrap_or_else(|| bail!("interrupted"))?);
        }
        Ok(items)
    })
}

fn bounded(from: impl Read, origin: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {origin}"))?;
    ensure!(bytes.len() <= MAX_BYTES, "{origin} is longer than {MAX_BYTES} bytes");
    Ok(bytes)
}

/// The most that is read of anything: several times the roots of an operating system.
const MAX_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests;
