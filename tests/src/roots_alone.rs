//! A proxy that asks an agent for roots and for nothing else: what it trusts.

use std::time::Duration;

use anyhow::{Context, Result};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use signet::stage::{NodeAgent, trust_domain};
use signet_client::sds::{Push, SdsClient, SecretStream};
use signet_identity::TrustBundle;
use signet_proto::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::pushed::text;

/// On one stream, without a token, that stays open for as long as this lives.
#[derive(Debug)]
pub struct RootsAlone {
    trusted: watch::Receiver<TrustBundle>,
    _reader: JoinSet<()>,
}

impl RootsAlone {
    /// Once the agent has pushed any.
    pub async fn before(agent: &NodeAgent) -> Result<Self> {
        let client = SdsClient::connect(agent.socket()).await?;
        let mut stream = client.stream(&["ROOTCA"], &[]).await?;
        let (sender, trusted) = watch::channel(next(&mut stream).await?);
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            let _connection = client;
            // A stream that ends shows in what is not learned any more.
            while let Ok(bundle) = next(&mut stream).await {
                sender.send_replace(bundle);
            }
        });
        Ok(Self { trusted, _reader: reader })
    }

    /// What it trusts now.
    pub fn trusts(&self) -> TrustBundle {
        self.trusted.borrow().clone()
    }

    /// Waits until what it trusts is as wanted.
    pub async fn until(&mut self, limit: Duration, wanted: impl Fn(&TrustBundle) -> bool) -> Result<()> {
        let as_wanted = timeout(limit, self.trusted.wait_for(wanted)).await.map(|seen| seen.map(drop));
        let trusts = self.trusts().authorities().len();
        as_wanted
            .with_context(|| format!("after {limit:?} it trusts {trusts} roots"))?
            .context("its stream has ended")
    }
}

/// Accepts the next push.
async fn next(stream: &mut SecretStream) -> Result<TrustBundle> {
    let push = stream.next().await?.context("the agent ended the stream")?;
    stream.ack(&push).await;
    bundle(push)
}

fn bundle(push: Push) -> Result<TrustBundle> {
    let secret = push.secrets.into_iter().next().context("an empty push")?.secret;
    let Some(Type::ValidationContext(context)) = secret.r#type else {
        anyhow::bail!("`ROOTCA` is something else");
    };
    let roots = context.trusted_ca.and_then(text).context("`ROOTCA` has no roots")?;
    let roots = CertificateDer::pem_slice_iter(roots.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    Ok(TrustBundle::new(trust_domain()?, roots, None)?)
}
