//! A whole mesh on one stage: a CA, a node agent, and two Envoys with an application behind the second.
//!
//! ```text
//! entrance ──▸ client Envoy ──mTLS──▸ server Envoy ──▸ application
//!                  │ SDS                  │ SDS
//!                  └──────▸ node agent ◂──┘ ──CSR──▸ CA
//! ```
//! The client Envoy acts for two workloads, each with an entrance, an SDS cluster and a token of its own:
//! `frontend`, which the server accepts, and `intruder`, which it does not.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::ca::{Ca, CaSettings};
use super::envoy::{ClientSidecar, Envoy, Route, SdsVariant, SecretSource, ServerSidecar, TokenDelivery};
use super::node_agent::{CertificateSource, NodeAgent, NodeAgentSettings};
use super::openbao::{VAULT_AUDIENCE, VaultAccess};
use super::workload::{TokenIssuer, Workload};
use super::{Application, Programs, Stage};

/// A cold start on a machine that is busy with other things.
const START: Duration = Duration::from_secs(60);

/// What a process that is asked to end has for it.
const GRACE: Duration = Duration::from_secs(10);

/// How long things live in a mesh.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Certificates of workloads.
    pub leaf_lifetime: Duration,
    /// Tokens.
    pub token_lifetime: Duration,
    /// Time from one token in a volume to the next; `None` for tokens that are never replaced.
    pub new_token_every: Option<Duration>,
    /// How `frontend`'s token reaches the agent.
    pub frontend_token: TokenPath,
    /// Which SDS the Envoys speak.
    pub variant: SdsVariant,
}

/// How a token travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPath {
    /// Read from the workload's volume for each stream.
    Volume,
    /// The first token, for ever.
    StaticHeader,
    /// Read from the workload's volume for each stream by `google_grpc`, and sent under this header.
    GoogleGrpc(&'static str),
    /// Read from the workload's volume by the agent; the proxy shows none.
    Agent,
}

/// What a mesh is raised on: where it runs, whose tokens count in it, and who signs.
#[derive(Debug)]
pub struct Footing {
    /// Where all of it runs.
    pub stage: Stage,
    /// Makes the workloads' tokens.
    pub issuer: Arc<TokenIssuer>,
    /// What the CA is started with.
    pub ca: CaSettings,
}

/// A running mesh. Nothing of it is left when it is dropped.
#[derive(Debug)]
pub struct Mesh {
    /// The client Envoy.
    pub client: Envoy,
    /// The server Envoy.
    pub server: Envoy,
    /// The node agent.
    pub agent: NodeAgent,
    /// The CA.
    pub ca: Ca,
    /// Who lives in it.
    pub workloads: Workloads,
    /// Where it can be entered.
    pub doors: Doors,
    /// The application.
    pub application: Application,
    /// Where all of it runs; dropped last.
    pub stage: Stage,
}

/// Who lives in a mesh.
#[derive(Debug)]
pub struct Workloads {
    /// Behind the server Envoy.
    pub orders: Workload,
    /// Whom the server accepts.
    pub frontend: Workload,
    /// Whom it does not.
    pub intruder: Workload,
}

/// The ports on 127.0.0.1 at which a mesh can be entered.
#[derive(Debug, Clone, Copy)]
pub struct Doors {
    /// Plain HTTP to the application, in `frontend`'s name.
    pub frontend: u16,
    /// Plain HTTP to the application, in `intruder`'s name.
    pub intruder: u16,
    /// The server Envoy itself, which wants mTLS.
    pub server: u16,
}

impl Mesh {
    /// Starts everything, with a CA that signs by itself, and waits until requests can be made.
    pub async fn raise(programs: &Programs, plan: &Plan) -> Result<Self> {
        let stage = Stage::set()?;
        let issuer = Arc::new(TokenIssuer::new(&stage)?);
        let ca = CaSettings::new(plan.leaf_lifetime, &issuer);
        Self::raise_on(Footing { stage, issuer, ca }, programs, plan).await
    }

    /// The same on what is there already.
    pub async fn raise_on(footing: Footing, programs: &Programs, plan: &Plan) -> Result<Self> {
        let Footing { stage, issuer, ca } = footing;
        let workloads = Workloads::new(&stage, &issuer, plan)?;
        let mut ca = Ca::start(&stage, programs, &ca)?;
        let token_file = workloads.frontend.token_file();
        let settings = NodeAgentSettings { token_file: Some(token_file.to_owned()), ..Default::default() };
        let mut agent = NodeAgent::start(&stage, programs, ca.endpoint()?, &settings)?;
        let application = Application::start().await?;
        let doors = Doors::choose(&stage)?;
        let (socket, private_socket) = (agent.socket().to_owned(), agent.private_socket().to_owned());
        let wiring = Wiring { plan, doors, workloads: &workloads, socket, private_socket };
        let mut server = Envoy::serve(&stage, programs, "server", &wiring.server(application.port()))?;
        ca.daemon().ready(START).await?;
        agent.daemon().ready(START).await?;
        server.ready(START).await?;
        // Last, and when all that it needs is there: a token in its configuration grows old from here on.
        let mut client = Envoy::call(&stage, programs, "client", &wiring.client()?)?;
        client.ready(START).await?;
        Ok(Self { client, server, agent, ca, workloads, doors, application, stage })
    }

    /// From now on Vault alone signs, leaves that live so long: workloads get tokens for it, the agent is started
    /// again before it, and the CA is ended.
    pub async fn turn_to_vault(&mut self, access: VaultAccess, leaf_lifetime: Duration) -> Result<()> {
        let Workloads { orders, frontend, intruder } = &self.workloads;
        let settings = NodeAgentSettings {
            token_file: Some(frontend.token_file()),
            leaf_lifetime: Some(leaf_lifetime),
            ..Default::default()
        };
        self.agent.configure(&self.stage, CertificateSource::Vault(access), &settings)?;
        self.agent.daemon().stop(GRACE).await?;
        for workload in [orders, frontend, intruder] {
            workload.turn_to(VAULT_AUDIENCE)?;
        }
        self.agent.daemon().start_again(&self.stage)?;
        self.agent.daemon().ready(START).await?;
        self.ca.daemon().stop(GRACE).await.map(drop)
    }
}

impl Workloads {
    fn new(stage: &Stage, issuer: &Arc<TokenIssuer>, plan: &Plan) -> Result<Self> {
        let workload = |name| {
            let mut workload = Workload::new(stage, issuer, name, plan.token_lifetime)?;
            if let Some(every) = plan.new_token_every {
                workload.keep_token_fresh(every);
            }
            anyhow::Ok(workload)
        };
        Ok(Self {
            orders: workload("orders")?,
            frontend: workload("frontend")?,
            intruder: workload("intruder")?,
        })
    }
}

impl Doors {
    fn choose(stage: &Stage) -> Result<Self> {
        Ok(Self { frontend: stage.free_port()?, intruder: stage.free_port()?, server: stage.free_port()? })
    }
}

/// What the configurations of the two Envoys are made from.
struct Wiring<'a> {
    plan: &'a Plan,
    doors: Doors,
    workloads: &'a Workloads,
    socket: PathBuf,
    private_socket: PathBuf,
}

impl Wiring<'_> {
    fn server(&self, application: u16) -> ServerSidecar {
        ServerSidecar {
            port: self.doors.server,
            secrets: self.secrets(&self.workloads.orders, from_volume(&self.workloads.orders)),
            accepts: self.workloads.frontend.identity().clone(),
            application,
        }
    }

    fn client(&self) -> Result<ClientSidecar> {
        let Workloads { frontend, intruder, .. } = self.workloads;
        let token = match self.plan.frontend_token {
            TokenPath::Volume => from_volume(frontend),
            TokenPath::StaticHeader => TokenDelivery::StaticHeader(frontend.mint_token()?),
            TokenPath::GoogleGrpc(header) => {
                TokenDelivery::GoogleGrpc { file: frontend.token_file().to_owned(), header }
            }
            TokenPath::Agent => TokenDelivery::ByAgent,
        };
        Ok(ClientSidecar {
            routes: vec![
                self.route(frontend, self.doors.frontend, token),
                self.route(intruder, self.doors.intruder, from_volume(intruder)),
            ],
        })
    }

    fn route(&self, workload: &Workload, port: u16, token: TokenDelivery) -> Route {
        Route {
            name: workload.name().to_owned(),
            port,
            secrets: self.secrets(workload, token),
            server: self.doors.server,
            expects: self.workloads.orders.identity().clone(),
        }
    }

    fn secrets(&self, workload: &Workload, token: TokenDelivery) -> SecretSource {
        let socket = match token {
            TokenDelivery::ByAgent => &self.private_socket,
            _ => &self.socket,
        };
        SecretSource {
            cluster: agent_cluster(workload.name()),
            socket: socket.clone(),
            token,
            variant: self.plan.variant,
        }
    }
}

/// What a workload's own way to the agent is called in its Envoy's statistics.
pub(super) fn agent_cluster(workload: &str) -> String {
    format!("agent-for-{workload}")
}

fn from_volume(workload: &Workload) -> TokenDelivery {
    TokenDelivery::Injected(workload.token_directory().to_owned())
}
