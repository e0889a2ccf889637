//! The root changes, and every proxy has the new one before it meets a leaf under it, also one that asks for roots alone,
//! on a node where no leaf is ever due; and it has the old one until the last leaf under that has ended.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use signet::stage::openbao::VAULT_AUDIENCE;
use signet::stage::{
    Ca, CaSettings, CertificateSource, NodeAgent, NodeAgentSettings, OfflineRoot, OpenBao, Programs,
    SecretVolume, SignedBy, Stage, TokenIssuer,
};
use signet_client::{CaEndpoint, Token};
use signet_identity::{Clock, SvidError, TrustBundle, verify_path};
use signet_runtime::SystemClock;
use signet_tests::issuing::Requester;
use signet_tests::pushed::Pushed;
use signet_tests::roots_alone::RootsAlone;
use signet_tests::{alone, openbao};
use tokio::time::{Instant, sleep};

/// A little longer than an agent takes to ask again for the roots, which is 54 to 66 s.
const OVERLAP: Duration = Duration::from_secs(70);

/// On a machine that is busy with other things.
const LATE: Duration = Duration::from_secs(30);

const START: Duration = Duration::from_secs(60);

/// Much less than until an agent asks by itself.
const SOON: Duration = Duration::from_secs(10);

/// Between one look and the next.
const PACE: Duration = Duration::from_millis(200);

/// The waits are for the real thing and do not get shorter; so all of it happens at once.
#[test]
fn a_root_is_at_every_proxy_before_any_leaf_under_it_and_until_the_last_one_has_ended() {
    alone(async |programs| {
        let before = async { before_the_first_leaf(programs).await.context("before the first leaf") };
        let after = async { until_the_last_leaf(programs).await.context("until the last leaf") };
        let vault = async { without_a_ca(programs).await.context("without a CA") };
        tokio::try_join!(before, after, vault).map(drop)
    });
}

async fn before_the_first_leaf(programs: &Programs) -> Result<()> {
    let mut scene = Injected::set(programs, Duration::from_secs(10), OVERLAP).await?;
    let old = scene.requester.ask().await?.bundle;
    scene.change_root()?;
    let changed = Instant::now();
    loop {
        let trusted = scene.proxy.trusts();
        let issued = scene.requester.ask().await.context("refused meanwhile")?;
        scene.requester.verify_by(&issued, &trusted).context("a leaf that the proxy does not trust")?;
        if scene.requester.verify_by(&issued, &old).is_err() {
            return Ok(());
        }
        ensure!(changed.elapsed() < OVERLAP + LATE, "no leaf under the new root");
        sleep(PACE).await;
    }
}

async fn until_the_last_leaf(programs: &Programs) -> Result<()> {
    let leaf = Duration::from_secs(60);
    let mut scene = Injected::set(programs, leaf, Duration::from_secs(2)).await?;
    let mut last = scene.requester.ask().await?;
    let old = last.bundle.clone();
    scene.change_root()?;
    let changed = Instant::now();
    loop {
        let issued = scene.requester.ask().await?;
        if scene.requester.verify_by(&issued, &old).is_err() {
            break;
        }
        last = issued;
        ensure!(changed.elapsed() < LATE, "no leaf under the new root");
        sleep(PACE).await;
    }
    // Proxies trust what the CA says, or what it said a minute ago.
    loop {
        match scene.requester.verify_by(&last, &scene.requester.bundle().await?) {
            Err(SvidError::Expired) => break,
            verified => verified.context("the old root has left before its last leaf")?,
        };
        scene.requester.verify_by(&last, &scene.proxy.trusts()).context("it has left the proxy before")?;
        sleep(PACE).await;
    }
    let leaves = scene.ca.daemon().metric("signet_ca_trust_stage{stage=\"retiring\"}").await?;
    ensure!(leaves == 1.0, "the old root is not on its way out");
    Ok(())
}

/// Two nodes before a Vault whose default issuer changes: a workload on the one, and on the other a proxy that asks for
/// roots alone.
async fn without_a_ca(programs: &Programs) -> Result<()> {
    let (stage, another_stage) = (Stage::set()?, Stage::set()?);
    let issuer = Arc::new(TokenIssuer::new(&stage)?);
    let vault = OpenBao::start(&stage, &openbao()?).await?;
    vault.set_up_pki().await?;
    let access = vault.accept_workloads(&issuer, Duration::from_secs(3600)).await?;
    let source = CertificateSource::Vault(access);
    let leaf = NodeAgentSettings { leaf_lifetime: Some(LEAF_OF_VAULT), ..Default::default() };
    let mut node = NodeAgent::start(&stage, programs, source.clone(), &leaf)?;
    let mut other_node = NodeAgent::start(&another_stage, programs, source, &leaf)?;
    node.daemon().ready(START).await?;
    other_node.daemon().ready(START).await?;
    let (mut neighbour, proxy) = (RootsAlone::before(&node).await?, RootsAlone::before(&other_node).await?);
    let old = proxy.trusts();
    vault.rotate_root("root-2").await?;
    let (changed, mut told) = (Instant::now(), false);
    while changed.elapsed() < OVERLAP + LATE {
        let trusted = proxy.trusts();
        // Each is a workload that is new on the node.
        let token = Token::new(&issuer.mint_for(VAULT_AUDIENCE, "orders", LEAF_OF_VAULT)?)?;
        match Pushed::by(&node, token).await {
            Ok(pushed) => {
                verified(&pushed, &trusted).context("a leaf that another node does not trust")?;
                if verified(&pushed, &old).is_err() {
                    ensure!(told, "nobody had to wait");
                    return Ok(());
                }
            }
            Err(refused) => {
                let words = format!("{refused:#}");
                ensure!(words.contains("until proxies of other nodes have that root"), "{words}");
                if !std::mem::replace(&mut told, true) {
                    let knows_both = |bundle: &TrustBundle| bundle.authorities().len() == 2;
                    neighbour.until(SOON, knows_both).await.context("on the node that knows of it")?;
                }
            }
        }
        sleep(PACE).await;
    }
    bail!("no leaf under the new root")
}

fn verified(pushed: &Pushed, bundle: &TrustBundle) -> Result<()> {
    let chain = CertificateDer::pem_slice_iter(pushed.chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    Ok(verify_path(&chain, bundle, SystemClock.now())?)
}

/// While a new root travels, a new leaf waits for a fifth of its life: here a little longer than another node takes to
/// learn of the root.
const LEAF_OF_VAULT: Duration = Duration::from_secs(5 * 70);

/// A CA that signs by an operator's files, and a node on which nobody has a leaf.
struct Injected {
    proxy: RootsAlone,
    requester: Requester,
    volume: SecretVolume,
    _agent: NodeAgent,
    ca: Ca,
    _stage: Stage,
}

impl Injected {
    async fn set(programs: &Programs, leaf: Duration, overlap: Duration) -> Result<Self> {
        let stage = Stage::set()?;
        let issuer = TokenIssuer::new(&stage)?;
        let volume = SecretVolume::mount(&stage, "cacerts", &OfflineRoot::new("root 1")?.key_set("set 1")?)?;
        let signed_by = SignedBy::Files(volume.directory().to_owned());
        let settings = CaSettings::new(leaf, &issuer).signed_by(signed_by).with_overlap(overlap);
        let mut ca = Ca::start(&stage, programs, &settings)?;
        ca.daemon().ready(START).await?;
        // Not the file that the CA keeps up to date: an agent with other anchors connects anew, and asks at once.
        let anchors = stage.write("anchors.pem", &fs::read_to_string(ca.anchors())?)?;
        let endpoint = CaEndpoint { anchors, ..ca.endpoint()? };
        let mut agent = NodeAgent::start(&stage, programs, endpoint, &NodeAgentSettings::default())?;
        agent.daemon().ready(START).await?;
        let proxy = RootsAlone::before(&agent).await?;
        let requester = Requester::before(&ca, &issuer)?;
        Ok(Self { proxy, requester, volume, _agent: agent, ca, _stage: stage })
    }

    fn change_root(&mut self) -> Result<()> {
        self.volume.swap(&OfflineRoot::new("root 2")?.key_set("set 2")?.files)
    }
}
