//! SIGKILL at any moment: the CA comes up again, with nothing half-written and no gap in its audit log.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use signet::stage::{Ca, CaSettings, Programs, Stage, TokenIssuer};
use signet_tests::alone;
use signet_tests::audit::Audit;
use signet_tests::issuing::Requester;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const SOON: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_ca_killed_at_any_moment_of_its_first_start_comes_up_as_if_nothing_had_happened() {
    alone(Duration::from_secs(90), async |programs| {
        let began = Instant::now();
        let (_stage, _issuer, ca) = first_start(programs).await?;
        let undisturbed = began.elapsed();
        let expected = names_in(ca.state())?;

        let moments = 20;
        for moment in 0..moments {
            let delay = undisturbed * moment / moments;
            killed_after(programs, delay, &expected)
                .await
                .map_err(|error| error.context(format!("{delay:?}")))?;
        }
        Ok(())
    });
}

async fn killed_after(programs: &Programs, delay: Duration, expected: &[String]) -> Result<()> {
    let (stage, issuer, mut ca) = start(programs)?;
    sleep(delay).await;
    ca.daemon().kill()?;
    let root_before = fs::read(ca.anchors()).ok();

    ca.daemon().start_again(&stage)?;
    ca.daemon().ready(SOON).await?;

    ensure!(
        root_before.is_none_or(|root| fs::read(ca.anchors()).is_ok_and(|now| now == root)),
        "another root"
    );
    ensure!(names_in(ca.state())? == expected, "left behind: {:?}", names_in(ca.state())?);
    Requester::before(&ca, &issuer)?.request().await?;
    Ok(())
}

#[test]
fn a_ca_killed_while_it_issues_leaves_no_gap_in_its_audit_log() {
    alone(Duration::from_secs(90), async |programs| {
        let (stage, issuer, mut ca) = first_start(programs).await?;
        let root = fs::read(ca.anchors())?;
        let mut received = BTreeSet::new();
        for _ in 0..10 {
            let requests = request_until_it_fails(Requester::before(&ca, &issuer)?);
            sleep(Duration::from_millis(fastrand::u64(100..400))).await;
            ca.daemon().kill()?;
            received.extend(requests.join_all().await.into_iter().flatten());
            ca.daemon().start_again(&stage)?;
            ca.daemon().ready(SOON).await?;
        }

        let audit = Audit::read(&ca.audit_log())?;
        ensure!(!received.is_empty(), "nothing was issued at all");
        ensure!(audit.gaps().is_empty(), "intents without exactly one outcome: {:?}", audit.gaps());
        ensure!(received.is_subset(&audit.serials), "certificates that the audit log does not know");
        ensure!(fs::read(ca.anchors())? == root, "another root");
        Ok(())
    });
}

/// Eight clients that ask again and again; each answers with the serials that it got.
fn request_until_it_fails(requester: Requester) -> JoinSet<Vec<String>> {
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let requester = requester.clone();
        clients.spawn(async move {
            let mut serials = Vec::new();
            while let Ok(svid) = requester.request().await {
                serials.push(svid.serial());
            }
            serials
        });
    }
    clients
}

async fn first_start(programs: &Programs) -> Result<(Stage, TokenIssuer, Ca)> {
    let (stage, issuer, mut ca) = start(programs)?;
    ca.daemon().ready(SOON).await?;
    Ok((stage, issuer, ca))
}

fn start(programs: &Programs) -> Result<(Stage, TokenIssuer, Ca)> {
    let stage = Stage::set()?;
    let issuer = TokenIssuer::new(&stage)?;
    let ca = Ca::start(&stage, programs, &CaSettings::new(HOUR, &issuer))?;
    Ok((stage, issuer, ca))
}

/// The names of all files, sorted; the one of a key without what makes it unique.
fn names_in(directory: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    let names = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> =
        names.map(|name| if name.starts_with("key-") { "key".to_owned() } else { name }).collect();
    names.sort();
    Ok(names)
}
