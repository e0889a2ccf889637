//! From the start of a process to the first certificate that it gives.

use std::time::Duration;

use anyhow::{Context, Result};
use signet::stage::{Ca, NodeAgent, NodeAgentSettings, Stage, poll};
use signet_client::{
    CaClient, IstioCa, Token,
    sds::{Credential, SdsClient},
};
use signet_identity::{CertificateRequest, PrivateKey};
use tokio::{
    net::{TcpStream, UnixStream},
    time::Instant,
};

use crate::{
    parts::Bench,
    processes::{Audit, Core, ServingCa, pin, settings},
    report::{Figure, Target},
};

const RUNS: usize = 9;
const LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at whether the process listens.
const PACE: Duration = Duration::from_millis(1);

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    println!("starting each process {RUNS} times ...");
    let tokens = bench.tokens(3 * RUNS)?;
    let csr = CertificateRequest::pem(&PrivateKey::generate()?, &bench.workload()?)?;
    let [mut first, mut again, mut agent] = [const { Vec::new() }; 3];
    let ca = ServingCa::start(bench, Core::Servers, Audit::Written).await?;
    for tokens in tokens.chunks(3) {
        let stage = Stage::set()?;
        let settings = settings(bench, &stage)?;
        pin(Core::Servers)?;
        let began = Instant::now();
        let mut started = Ca::start(&stage, &bench.programs, &settings)?;
        pin(Core::Load)?;
        first.push(certificate_from_ca(&started, &tokens[0], &csr, began).await?);

        started.daemon().kill()?;
        pin(Core::Servers)?;
        let began = Instant::now();
        started.daemon().start_again(&stage)?;
        pin(Core::Load)?;
        again.push(certificate_from_ca(&started, &tokens[1], &csr, began).await?);

        pin(Core::Servers)?;
        let began = Instant::now();
        let started =
            NodeAgent::start(&stage, &bench.programs, ca.endpoint()?, &NodeAgentSettings::default())?;
        pin(Core::Load)?;
        agent.push(certificate_from_agent(&started, &tokens[2], began).await?);
    }
    let figure = |name, samples| Figure::of(name, "ms", samples).against(Target::Below(100.0));
    Ok(vec![
        figure("start.ca_first_certificate_ms", first),
        figure("start.ca_again_first_certificate_ms", again),
        figure("start.agent_first_certificate_ms", agent),
    ])
}

/// Milliseconds since `began`. The client begins to connect when there is somebody to connect to: its back-off is not
/// what is measured.
async fn certificate_from_ca(ca: &Ca, token: &Token, csr: &str, began: Instant) -> Result<f64> {
    let endpoint = ca.endpoint()?;
    let listens = async || {
        (endpoint.anchors.exists() && TcpStream::connect(&endpoint.address).await.is_ok()).then_some(())
    };
    poll::until(began + LIMIT, PACE, listens).await.context("the CA does not listen")?;
    IstioCa::new(endpoint)?.issue(token, csr, None).await?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

async fn certificate_from_agent(agent: &NodeAgent, token: &Token, began: Instant) -> Result<f64> {
    let listens = async || UnixStream::connect(agent.socket()).await.ok().map(drop);
    poll::until(began + LIMIT, PACE, listens).await.context("the agent does not listen")?;
    let client = SdsClient::connect(agent.socket()).await?;
    let credential = Credential { header: "authorization".to_owned(), token: token.clone() };
    let mut stream = client.stream(&["default"], &[credential]).await?;
    stream.next().await?.context("the agent closed the stream")?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}
