//! `--socket` and its company: which agent is asked, and how it is shown the token.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use signet_client::sds::Credential;

use super::TokenFlags;

/// A node agent, or whoever else serves SDS on a Unix socket.
#[derive(Debug, Clone, Args)]
pub(crate) struct AgentFlags {
    /// The socket on which SDS is served
    #[arg(long, value_name = "PATH", env = "SIGNET_SOCKET", default_value = "/run/signet/agent.sock")]
    socket: PathBuf,
    #[command(flatten)]
    token: TokenFlags,
    /// Header that the token travels in
    #[arg(long, value_name = "HEADER", default_value = "authorization")]
    token_header: String,
}

impl AgentFlags {
    /// Where the agent listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// What it is shown: nothing, if no token was given. A bundle needs none, and a socket with a token file of its own
    /// asks for none.
    ///
    /// # Errors
    /// The token cannot be read.
    pub(crate) fn credentials(&self) -> Result<Vec<Credential>> {
        let credential = |token| Credential { header: self.token_header.clone(), token };
        Ok(self.token.token()?.map(credential).into_iter().collect())
    }
}
