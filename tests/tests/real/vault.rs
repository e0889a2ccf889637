//! A CA and a node agent before a real OpenBao: each way to log in, each way to sign, and what can go wrong with it.

mod alone;
mod choice;
mod faults;
mod goodbye;
mod herd;
mod intermediate;
mod kubernetes;
mod leaves;
mod logins;
mod operator;
mod outage;
mod roles;
mod root;
mod start;
mod workload;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use signet::stage::envoy::SdsVariant;
use signet::stage::{
    CaSettings, Footing, Mesh, OpenBao, Plan, Programs, SignedBy, Stage, TokenIssuer, TokenPath,
};
use signet_tests::pushed::Pushed;
use signet_tests::{openbao, openssl};

const HOUR: Duration = Duration::from_secs(3600);
const START: Duration = Duration::from_secs(60);

/// Every renewal goes by a closed stream and a fresh token.
const PLAN: Plan = Plan {
    leaf_lifetime: HOUR,
    token_lifetime: Duration::from_secs(4),
    new_token_every: Some(Duration::from_secs(1)),
    frontend_token: TokenPath::Volume,
    variant: SdsVariant::StateOfTheWorld,
};

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

    /// A mesh before it.
    async fn raise(self, programs: &Programs, plan: &Plan, signed_by: SignedBy) -> Result<(Mesh, OpenBao)> {
        let Self { openbao, issuer, stage } = self;
        let ca = CaSettings::new(plan.leaf_lifetime, &issuer).signed_by(signed_by);
        Ok((Mesh::raise_on(Footing { stage, issuer, ca }, programs, plan).await?, openbao))
    }
}

/// What a proxy is given is good under that root, by the judgement of another library.
async fn must_be_strictly_valid(mesh: &Mesh, root: &str) -> Result<()> {
    let pushed = Pushed::to(mesh, &mesh.workloads.orders).await?;
    ensure!(pushed.roots.contains(root.trim()), "the root is not in {}", pushed.roots);
    openssl::verify_strictly(&mesh.stage, &pushed.chain, root)
}
