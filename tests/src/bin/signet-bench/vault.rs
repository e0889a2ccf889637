//! What Vault in front costs: leaves through the CA beside the same leaves asked of Vault itself, and leaves under an
//! intermediate of Vault's beside leaves under a root of the CA's own.
//!
//! OpenBao runs on the servers' core, and the CA before it beside the load generator: a certificate costs OpenBao several
//! times what it costs the CA, so that OpenBao is what both ways to it are slowed by.

use std::{iter, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signet::{
    load::{Connections, CsrKeys, Issuance, Ledger, Requests, Until},
    stage::{
        CaSettings, OpenBao, SignedBy, Stage,
        openbao::{PKI_MOUNT, VaultAccess, WORKLOAD_ROLE},
    },
};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    parts::Bench,
    processes::{Audit, Core, ServingCa, pin, settings},
    report::{Figure, Target},
};

const ROUNDS: usize = 7;
const CERTIFICATES: u64 = 500;
/// As many as the CA has under way at Vault.
const IN_FLIGHT: usize = 32;
const HOUR: Duration = Duration::from_secs(3600);

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let (stage, openbao) = vault().await?;
    // One token for all: what a policy costs, it costs both ways.
    let access = openbao.give_token(&stage, HOUR).await?.by_way_of(openbao.plain_port());
    let token = std::fs::read_to_string(access.token_file()?)?;
    let mut figures = leaves(bench, &openbao, access.clone(), token).await?;
    figures.extend(intermediates(bench, &openbao, access).await?);
    Ok(figures)
}

async fn vault() -> Result<(Stage, OpenBao)> {
    let stage = Stage::set()?;
    pin(Core::Servers)?;
    let openbao = OpenBao::start(&stage, &signet_tests::openbao()?).await?;
    pin(Core::Load)?;
    openbao.set_up_pki().await?;
    Ok((stage, openbao))
}

/// Vault signs each leaf: for the CA, and for whoever asks it directly, in turns.
async fn leaves(bench: &Bench, openbao: &OpenBao, access: VaultAccess, token: String) -> Result<Vec<Figure>> {
    let ca = serving(bench, Core::Load, |settings| settings.signed_by(SignedBy::Vault(access))).await?;
    let load = load(bench, &ca)?;
    let direct = Direct::at(openbao, bench, token)?;
    issue(&load).await?;
    direct.sign().await?;
    let (mut through, mut beside, before) = (Vec::new(), Vec::new(), asked(openbao)?);
    for round in 1..=ROUNDS {
        println!("signing by Vault, round {round} of {ROUNDS} ...");
        through.push(issue(&load).await?);
        beside.push(direct.sign().await?);
    }
    let certificates = (2 * CERTIFICATES * ROUNDS as u64) as f64;
    let requests = (asked(openbao)? - before) as f64 - certificates / 2.0;
    let ratios = iter::zip(&through, &beside).map(|(through, beside)| through / beside).collect();
    Ok(vec![
        Figure::of("vault.leaves.of_direct", "ratio", ratios).against(Target::AtLeast(0.90)),
        Figure::of("vault.leaves.rate", "1/s", through),
        Figure::of("vault.direct.rate", "1/s", beside),
        Figure::of("vault.leaves.requests_per_1000", "", vec![requests / (certificates / 2.0) * 1000.0]),
    ])
}

/// The CA signs under an intermediate of Vault's, and another one under its own root, in turns.
async fn intermediates(bench: &Bench, openbao: &OpenBao, access: VaultAccess) -> Result<Vec<Figure>> {
    let under =
        serving(bench, Core::Servers, |settings| settings.signed_by(SignedBy::VaultIntermediate(access)))
            .await?;
    let own = ServingCa::start(bench, Core::Servers, Audit::Written).await?;
    let loads = [load(bench, &under)?, load(bench, &own)?];
    for load in &loads {
        issue(load).await?;
    }
    let (mut ratios, before) = (Vec::new(), asked(openbao)?);
    for round in 1..=2 * ROUNDS {
        println!("signing under an intermediate, round {round} of {} ...", 2 * ROUNDS);
        let mut used = [Duration::ZERO; 2];
        for (used, (ca, load)) in used.iter_mut().zip([(&under, &loads[0]), (&own, &loads[1])]) {
            let before = ca.cpu()?;
            issue(load).await?;
            *used = ca.cpu()? - before;
        }
        ratios.push(used[1].as_secs_f64() / used[0].as_secs_f64());
    }
    let certificates = CERTIFICATES as f64 * 2.0 * ROUNDS as f64;
    let requests = (asked(openbao)? - before) as f64;
    Ok(vec![
        Figure::of("vault.intermediate.cpu_of_local", "ratio", ratios).against(Target::AtLeast(0.95)),
        Figure::of("vault.intermediate.requests_per_1000", "", vec![requests / certificates * 1000.0]),
    ])
}

async fn serving(
    bench: &Bench,
    core: Core,
    change: impl FnOnce(CaSettings) -> CaSettings,
) -> Result<ServingCa> {
    let stage = Stage::set()?;
    let settings = change(settings(bench, &stage)?);
    ServingCa::start_with(bench, core, stage, &settings).await
}

fn load(bench: &Bench, ca: &ServingCa) -> Result<Arc<Issuance>> {
    let csrs = CsrKeys::EcdsaP256.csrs(&bench.workload()?, 64)?;
    Issuance::new(ca.endpoint()?, Connections::Kept(1), Requests::new(bench.tokens(1)?, csrs)?)
}

/// Certificates a second.
async fn issue(load: &Arc<Issuance>) -> Result<f64> {
    let tally = load.closed(IN_FLIGHT, Until::Made(CERTIFICATES), &Ledger::open()?).await;
    let failure = tally.first_failure.as_deref();
    ensure!(failure.is_none(), "a certificate was refused: {}", failure.unwrap_or_default());
    Ok(tally.rate())
}

/// What Vault was asked so far.
fn asked(openbao: &OpenBao) -> Result<usize> {
    Ok(openbao.asked()?.len())
}

/// Asks Vault itself, as the CA does.
struct Direct {
    client: reqwest::Client,
    url: String,
    token: String,
    body: Value,
}

impl Direct {
    fn at(openbao: &OpenBao, bench: &Bench, token: String) -> Result<Self> {
        let identity = bench.workload()?;
        let csr = CsrKeys::EcdsaP256.csrs(&identity, 1)?.pop().context("no CSR")?;
        Ok(Self {
            client: client()?,
            url: format!("http://127.0.0.1:{}/v1/{PKI_MOUNT}/sign/{WORKLOAD_ROLE}", openbao.plain_port()),
            token,
            body: json!({"csr": csr, "uri_sans": identity.as_str(), "common_name": "", "ttl": "3600s"}),
        })
    }

    /// Certificates a second.
    async fn sign(&self) -> Result<f64> {
        let began = Instant::now();
        let mut asking = JoinSet::new();
        for worker in 0..IN_FLIGHT as u64 {
            let mine = CERTIFICATES / IN_FLIGHT as u64 + u64::from(worker < CERTIFICATES % IN_FLIGHT as u64);
            let (client, url, token, body) =
                (self.client.clone(), self.url.clone(), self.token.clone(), self.body.to_string());
            asking.spawn(async move {
                for _ in 0..mine {
                    let request = client.post(&url).header("x-vault-token", &token).body(body.clone());
                    let answer = request.send().await?.error_for_status()?;
                    answer.bytes().await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(asked) = asking.join_next().await {
            asked??;
        }
        Ok(CERTIFICATES as f64 / began.elapsed().as_secs_f64())
    }
}

/// For a port without TLS; reqwest wants a provider all the same.
fn client() -> Result<reqwest::Client> {
    let tls = rustls::ClientConfig::builder_with_provider(signet_runtime::tls::provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
    Ok(client.pool_max_idle_per_host(IN_FLIGHT).build()?)
}
