//! A CA and a node agent before a real OpenBao: each way to log in, each way to sign, and what can go wrong with it.

mod faults;
mod logins;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use signet::stage::{OpenBao, Stage, TokenIssuer};
use signet_tests::openbao;

const HOUR: Duration = Duration::from_secs(3600);
const START: Duration = Duration::from_secs(60);

/// An OpenBao with a PKI, and whose tokens count.
struct Scene {
    openbao: OpenBao,
    issuer: Arc<TokenIssuer>,
    stage: Stage,
}

impl Scene {
    async fn set() -> Result<Self> {
        let stage = Stage::set()?;
        let issuer = Arc::new(TokenIssuer::new(&stage)?);
        let openbao = OpenBao::start(&stage, &openbao()?).await?;
        openbao.set_up_pki().await?;
        Ok(Self { openbao, issuer, stage })
    }
}
