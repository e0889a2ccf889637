//! What an Envoy says about itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use tokio::time::Instant;

use crate::stage::http::{self, Answer};
use crate::stage::mesh::agent_cluster;
use crate::stage::poll;

/// Until Envoy has counted what its peer has seen already.
const COUNTED_WITHIN: Duration = Duration::from_secs(10);

/// SDS streams of a workload: one for its certificate, one for its roots.
const STREAMS: u64 = 2;

/// The admin interface of an Envoy.
#[derive(Debug, Clone, Copy)]
pub struct Admin {
    address: SocketAddr,
}

/// A certificate that Envoy serves with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedCertificate {
    /// Its URI SAN.
    pub identity: String,
    /// Hex, as Envoy writes it: lower case, two digits a byte, so that the first digit may be a zero.
    pub serial: String,
    /// RFC 3339.
    pub expires_at: String,
}

impl Admin {
    pub(super) fn on(port: u16) -> Self {
        Self::at((Ipv4Addr::LOCALHOST, port).into())
    }

    /// The admin interface of any Envoy.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    /// The port, which on a stage is one of 127.0.0.1.
    pub fn port(self) -> u16 {
        self.address.port()
    }

    /// Every listener has its secrets and is bound.
    pub async fn is_ready(self) -> bool {
        http::get_at(self.address, "/ready").await.is_ok_and(|answer| answer.status.is_success())
    }

    /// What serves at this moment, one for each TLS context that has a certificate. The configuration dump does not
    /// tell that: it shows what was pushed last, even when Envoy has rejected it.
    pub async fn certificates(self) -> Result<Vec<ServedCertificate>> {
        Ok(self
            .contexts()
            .await?
            .into_iter()
            .flat_map(|context| context.cert_chain)
            .map(Into::into)
            .collect())
    }

    /// The serials of the roots that are trusted at this moment, one for each TLS context and root.
    pub async fn trusted_serials(self) -> Result<Vec<String>> {
        let roots = self.contexts().await?.into_iter().flat_map(|context| context.ca_cert);
        Ok(roots.map(|root| root.serial_number).collect())
    }

    /// The serial of the certificate that serves for this identity, if there is one.
    pub async fn serial_of(self, identity: &str) -> Result<Option<String>> {
        let mut certificates = self.certificates().await?.into_iter();
        Ok(certificates
            .find(|certificate| certificate.identity == identity)
            .map(|certificate| certificate.serial))
    }

    /// The value of a counter or gauge; 0 for one that does not exist, as those that nothing has touched yet.
    pub async fn statistic(self, name: &str) -> Result<u64> {
        let answer = http::get_at(self.address, "/stats").await?;
        let value = answer.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.map_or(Ok(0), |value| value.parse().with_context(|| format!("{name} is {value:?}")))
    }

    /// The same once it is above `before`, or as it is when that takes too long. A worker of Envoy may count what it
    /// has refused a moment after the one who was refused knows.
    pub async fn statistic_above(self, before: u64, name: &str) -> Result<u64> {
        let above = async || match self.statistic(name).await {
            Ok(value) if value <= before => None,
            other => Some(other),
        };
        let counted = poll::until(Instant::now() + COUNTED_WITHIN, poll::PACE, above).await;
        counted.unwrap_or(Ok(before))
    }

    /// How many SDS streams it has opened so far in the name of a workload of a [`Mesh`](crate::stage::Mesh).
    pub async fn sds_streams(self, workload: &str) -> Result<u64> {
        self.statistic(&format!("cluster.{}.upstream_rq_total", agent_cluster(workload))).await
    }

    /// How many of those streams were opened on a connection that had its streams already, because one of them had
    /// been closed. A connection begins with two; it is lost, and replaced, when the machine stands still for
    /// longer than a ping may take.
    pub async fn sds_streams_again(self, workload: &str) -> Result<u64> {
        let streams = self.sds_streams(workload).await?;
        let connections = format!("cluster.{}.upstream_cx_total", agent_cluster(workload));
        Ok(streams.saturating_sub(STREAMS * self.statistic(&connections).await?))
    }

    /// What a page of it says.
    pub(crate) async fn page(self, path: &str) -> Result<Answer> {
        http::get_at(self.address, path).await
    }

    async fn contexts(self) -> Result<Vec<TlsContext>> {
        let answer = self.page("/certs").await?;
        let contexts: Contexts =
            serde_json::from_str(&answer.body).context("Envoy's /certs is not understood")?;
        Ok(contexts.certificates)
    }
}

#[derive(Deserialize)]
struct Contexts {
    certificates: Vec<TlsContext>,
}

#[derive(Deserialize)]
struct TlsContext {
    #[serde(default)]
    ca_cert: Vec<Certificate>,
    #[serde(default)]
    cert_chain: Vec<Certificate>,
}

#[derive(Deserialize)]
struct Certificate {
    serial_number: String,
    #[serde(default)]
    subject_alt_names: Vec<SubjectAltName>,
    expiration_time: String,
}

#[derive(Deserialize)]
struct SubjectAltName {
    #[serde(default)]
    uri: String,
}

impl From<Certificate> for ServedCertificate {
    fn from(leaf: Certificate) -> Self {
        let identity = leaf.subject_alt_names.into_iter().map(|name| name.uri).find(|uri| !uri.is_empty());
        Self {
            identity: identity.unwrap_or_default(),
            serial: leaf.serial_number,
            expires_at: leaf.expiration_time,
        }
    }
}
