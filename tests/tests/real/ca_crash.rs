//! SIGKILL while the CA issues: it comes up again, and there is no gap in its audit log. Which step of its first start
//! a kill leaves half done is a matter of the files alone, and tested with the CA.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use signet::stage::{Ca, CaSettings, Programs, Stage, TokenIssuer};
use signet_client::Issued;
use signet_tests::alone;
use signet_tests::audit::Audit;
use signet_tests::issuing::Requester;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_ca_killed_while_it_issues_leaves_no_gap_in_its_audit_log() {
    alone(async |programs| {
        let (stage, issuer, mut ca) = first_start(programs).await?;
        let root = fs::read(ca.anchors())?;
        let mut received = BTreeSet::new();
        for round in 0..20 {
            let requester = Arc::new(Requester::before(&ca, &issuer)?);
            let answers = ask_until_it_fails(&requester);
            match round % 2 {
                0 => sleep(Duration::from_millis(fastrand::u64(50..150))).await,
                _ => timeout(SOON, an_intent_is_open(&ca.audit_log())).await?,
            }
            ca.daemon().kill()?;
            for issued in answers.join_all().await.into_iter().flatten() {
                received.insert(requester.verify(issued)?.serial());
            }
            ca.daemon().start_again(&stage)?;
            ca.daemon().ready(SOON).await?;
        }

        let audit = Audit::read(&ca.audit_log())?;
        let abandoned = audit.outcomes.values().flatten().filter(|outcome| *outcome == "abandoned").count();
        ensure!(abandoned > 0, "no kill came between an intent and its outcome: nothing was tested");
        ensure!(audit.gaps().is_empty(), "intents without exactly one outcome: {:?}", audit.gaps());
        ensure!(received.is_subset(&audit.serials), "certificates that the audit log does not know");
        ensure!(fs::read(ca.anchors())? == root, "another root");
        Ok(())
    });
}

/// Clients that ask again and again, more than the CA serves at once.
fn ask_until_it_fails(requester: &Arc<Requester>) -> JoinSet<Vec<Issued>> {
    let mut clients = JoinSet::new();
    for _ in 0..32 {
        let requester = Arc::clone(requester);
        clients.spawn(async move {
            let mut answers = Vec::new();
            while let Ok(issued) = requester.ask().await {
                answers.push(issued);
            }
            answers
        });
    }
    clients
}

/// The key is being used, and what comes of it is not written down yet.
async fn an_intent_is_open(log: &Path) {
    let is_open = || {
        let records = fs::read_to_string(log).unwrap_or_default();
        records.lines().next_back().is_some_and(|record| record.contains("\"signing\""))
    };
    while !is_open() {
        yield_now().await;
    }
}

async fn first_start(programs: &Programs) -> Result<(Stage, TokenIssuer, Ca)> {
    let stage = Stage::set()?;
    let issuer = TokenIssuer::new(&stage)?;
    let mut ca = Ca::start(&stage, programs, &CaSettings::new(HOUR, &issuer))?;
    ca.daemon().ready(SOON).await?;
    Ok((stage, issuer, ca))
}
