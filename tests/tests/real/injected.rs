//! An operator's keys come and go under load: good ones are taken, bad ones are not, and no request notices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use signet::stage::envoy::SdsVariant;
use signet::stage::{
    CaSettings, Footing, KeySet, Mesh, OfflineRoot, Plan, SecretVolume, SignedBy, Stage, TokenIssuer,
    TokenPath, http, poll,
};
use signet_tests::alone;
use signet_tests::audit::Audit;
use signet_tests::traffic::Traffic;
use tokio::time::{Instant, sleep};

const PLAN: Plan = Plan {
    leaf_lifetime: Duration::from_secs(10),
    token_lifetime: Duration::from_secs(4),
    new_token_every: Some(Duration::from_secs(1)),
    frontend_token: TokenPath::Volume,
    variant: SdsVariant::StateOfTheWorld,
};

/// From a new root in the bundle to the first leaf under it. The one agent has the bundle with every leaf.
const OVERLAP: Duration = Duration::from_secs(5);

/// A set that is not taken is told of when it has stood still for two seconds.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// The CA looks at files that have stood still for a fifth of a second.
const LONG_ENOUGH_TO_BE_SEEN: Duration = Duration::from_millis(400);

type Files = BTreeMap<&'static str, String>;

#[test]
fn fifty_swaps_of_good_and_bad_keys_fail_no_request_and_sign_nothing_by_a_bad_one() {
    alone(async |programs| {
        let stage = Stage::set()?;
        let issuer = Arc::new(TokenIssuer::new(&stage)?);
        let mut root = OfflineRoot::new("root 0")?;
        let first = root.key_set("set 0")?;
        let mut volume = SecretVolume::mount(&stage, "cacerts", &first)?;
        let signed_by = SignedBy::Files(volume.directory().to_owned());
        let ca = CaSettings::new(PLAN.leaf_lifetime, &issuer).signed_by(signed_by).with_overlap(OVERLAP);
        let mesh = Mesh::raise_on(Footing { stage, issuer, ca }, programs, &PLAN).await?;
        let mut traffic = Traffic::through(&mesh).await?;

        let mut good = BTreeSet::from([first.key_id]);
        let mut swaps = 0;
        for round in 1..=4 {
            for (fault, files) in bad_sets(&root)? {
                volume.swap(&files)?;
                swaps += 1;
                if round == 1 {
                    page_says(&mesh, fault).await?;
                } else {
                    sleep(LONG_ENOUGH_TO_BE_SEEN).await;
                }
                let set = root.key_set(&format!("set {swaps}"))?;
                volume.swap(&set.files)?;
                swaps += 1;
                signs(&mesh, &set).await?;
                good.insert(set.key_id);
            }
            root = OfflineRoot::new(&format!("root {round}"))?;
            let set = root.key_set(&format!("set under root {round}"))?;
            volume.swap(&set.files)?;
            swaps += 1;
            signs(&mesh, &set).await?;
            good.insert(set.key_id);
        }
        traffic.until_each_has_rotated(2).await?;

        ensure!(swaps >= 50, "{swaps} swaps");
        traffic.must_be_unharmed().await?;
        let signed = Audit::read(&mesh.ca.audit_log())?.authorities;
        ensure!(
            signed.is_subset(&good),
            "{:?} signed, and are none of the good sets",
            signed.difference(&good)
        );
        Ok(())
    });
}

/// Each is wrong in one way; what the status page must say of it.
fn bad_sets(root: &OfflineRoot) -> Result<Vec<(&'static str, Files)>> {
    let good = root.key_set("bad")?.files;
    let with = |file, content: &str| {
        let mut files = good.clone();
        files.insert(file, content.to_owned());
        files
    };
    let without = |file| {
        let mut files = good.clone();
        files.remove(file);
        files
    };
    let leaf = root.key_set_with("bad leaf", |params| params.is_ca = rcgen::IsCa::ExplicitNoCa)?.files;
    let expired = root.key_set_with("bad and over", |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    })?;
    let other_root = OfflineRoot::new("of somebody else")?;
    let half: String = good.get("ca-key.pem").context("no key")?.chars().take(60).collect();
    Ok(vec![
        ("ca-key.pem", without("ca-key.pem")),
        ("ca-key.pem", with("ca-key.pem", &half)),
        (
            "ca-key.pem",
            with("ca-key.pem", other_root.key_set("of another")?.files.get("ca-key.pem").context("no key")?),
        ),
        ("root-cert.pem", with("root-cert.pem", &other_root.pem())),
        ("ca-cert.pem", leaf),
        ("ca-cert.pem", expired.files),
    ])
}

/// The operations page names the file that is wrong.
async fn page_says(mesh: &Mesh, fault: &str) -> Result<()> {
    let port = mesh.ca.operations();
    let says = async || {
        let page = http::get(port, "/readyz").await.ok()?.body;
        let line = page.lines().find(|line| line.starts_with("source of the authority: "))?;
        line.contains(fault).then_some(())
    };
    let end = Instant::now() + TOLD_WITHIN;
    poll::until(end, Duration::from_millis(100), says)
        .await
        .with_context(|| format!("{fault} is not told of"))
}

/// The set signs; under a new root when it has travelled.
async fn signs(mesh: &Mesh, set: &KeySet) -> Result<()> {
    let port = mesh.ca.operations();
    let line = format!("authority {} (injected) signs", set.key_id);
    let says = async || http::get(port, "/readyz").await.ok()?.body.contains(&line).then_some(());
    let end = Instant::now() + OVERLAP + TOLD_WITHIN;
    poll::until(end, Duration::from_millis(100), says)
        .await
        .with_context(|| format!("{} does not sign", set.key_id))?;
    // For as long as some leaf of the mesh is issued by it.
    sleep(Duration::from_millis(300)).await;
    Ok(())
}
