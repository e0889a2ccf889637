//! What the agent pushes, read by a client of our own that shows the same token as a proxy.

use std::fs;

use anyhow::{Context, Result};
use signet::stage::{Mesh, NodeAgent, Workload};
use signet_client::Token;
use signet_client::sds::{Credential, SdsClient};
use signet_proto::envoy::config::core::v3::DataSource;
use signet_proto::envoy::config::core::v3::data_source::Specifier;
use signet_proto::envoy::extensions::transport_sockets::tls::v3::secret::Type;

/// What a workload's proxy holds, in PEM. The private key is not kept.
#[derive(Debug)]
pub struct Pushed {
    /// `default`: the leaf, then the intermediates.
    pub chain: String,
    /// `ROOTCA`.
    pub roots: String,
}

impl Pushed {
    /// To the holder of the token that is in the workload's volume now.
    pub async fn to(mesh: &Mesh, workload: &Workload) -> Result<Self> {
        let token = Token::read(&workload.token_directory().join("token"))?;
        Self::by(&mesh.agent, token).await
    }

    /// By that agent, to the holder of a token.
    pub async fn by(agent: &NodeAgent, token: Token) -> Result<Self> {
        let credential = Credential { header: "authorization".to_owned(), token };
        let client = SdsClient::connect(agent.socket()).await?;
        let push = client.fetch(&["default", "ROOTCA"], &[credential]).await?;
        let (mut chain, mut roots) = (None, None);
        for pushed in push.secrets {
            match pushed.secret.r#type {
                Some(Type::TlsCertificate(certificate)) => {
                    chain = certificate.certificate_chain.and_then(text)
                }
                Some(Type::ValidationContext(context)) => roots = context.trusted_ca.and_then(text),
                None => {}
            }
        }
        Ok(Self { chain: chain.context("no `default`")?, roots: roots.context("no `ROOTCA`")? })
    }
}

pub(crate) fn text(source: DataSource) -> Option<String> {
    match source.specifier? {
        Specifier::InlineString(text) => Some(text),
        Specifier::InlineBytes(bytes) => String::from_utf8(bytes.to_vec()).ok(),
        Specifier::Filename(name) => fs::read_to_string(name).ok(),
    }
}
