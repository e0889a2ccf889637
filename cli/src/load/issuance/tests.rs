use std::collections::HashSet;

use signet_client::testing::{Answer, FakeCa};
use signet_identity::{CertificateRequest, PrivateKey, SpiffeId, TrustDomain};
use signet_runtime::SystemClock;
use tokio::time::sleep_until;

use super::*;

fn fake() -> Arc<FakeCa> {
    let trust_domain: TrustDomain = "cluster.local".parse().unwrap();
    Arc::new(FakeCa::new(trust_domain, Arc::new(SystemClock)))
}

/// A load of one token on so many connections, all of which lead to `ca`.
fn load_on(ca: &Arc<FakeCa>, connections: usize) -> Arc<Issuance> {
    let identity = SpiffeId::workload(&"cluster.local".parse().unwrap(), "shop", "orders").unwrap();
    let csr = CertificateRequest::pem(&PrivateKey::generate().unwrap(), &identity).unwrap();
    let token = ca.token("shop", "orders", Duration::from_secs(600));
    let clients = (0..connections).map(|_| Arc::clone(ca) as Arc<dyn CaClient>);
    Arc::new(Issuance {
        requests: Requests::new(vec![token], vec![csr]).unwrap(),
        turns: AtomicU64::new(0),
        line: Line::Kept(Ring::new(clients).unwrap()),
    })
}

async fn keep_to(load: &Arc<Issuance>, millis: impl IntoIterator<Item = u64>, ledger: &Ledger) -> Tally {
    let until = async |due| {
        sleep_until(due).await;
        Ok(())
    };
    load.keep_to(millis.into_iter().map(Duration::from_millis), until, ledger).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_makes_as_many_requests_as_were_asked_for() {
    let ca = fake();
    let ledger = Ledger::open().unwrap();
    let tally = load_on(&ca, 3).closed(4, Until::Made(50), &ledger).await;
    assert_eq!((ca.calls().len(), tally.issued(), tally.failed()), (50, 50, 0));
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_has_no_more_in_flight_than_its_connections_times_their_share() {
    let ca = fake();
    ca.always(Answer::Late(Duration::from_secs(1)));
    let ledger = Ledger::open().unwrap();
    let tally = load_on(&ca, 3).closed(4, Until::Passed(Duration::from_millis(2500)), &ledger).await;
    // Twelve begin in each of the seconds, and the last are waited for.
    assert_eq!(tally.issued(), 36);
    assert_eq!(tally.lasted.as_secs(), 3);
    assert_eq!(tally.latency.quantile(0.5).as_millis() / 10, 100);
}

#[tokio::test(start_paused = true)]
async fn no_token_is_shown_twice_while_there_are_others() {
    let ca = fake();
    let load = load_on(&ca, 2);
    let tokens = (0..60).map(|n| ca.token("shop", "orders", Duration::from_secs(600 + n))).collect();
    let load = Arc::into_inner(load).unwrap();
    let csrs = vec![load.requests.csrs.at(0).clone()];
    let load = Arc::new(Issuance { requests: Requests::new(tokens, csrs).unwrap(), ..load });
    for _ in 0..2 {
        let ledger = Ledger::open().unwrap();
        load.warm_up().await.unwrap();
        load.closed(3, Until::Made(20), &ledger).await;
    }
    let shown: HashSet<_> = ca.calls().into_iter().map(|call| call.token).collect();
    assert_eq!((ca.calls().len(), shown.len()), (44, 44));
}

#[tokio::test(start_paused = true)]
async fn an_open_loop_sends_on_time_though_nothing_is_answered() {
    let ca = fake();
    ca.always(Answer::Hang);
    let ledger = Ledger::open().unwrap();
    let tally = keep_to(&load_on(&ca, 1), (0..100).map(|n| n * 10), &ledger).await;
    assert_eq!((ca.calls().len(), tally.timed_out, tally.not_sent), (100, 100, 0));
    assert!(tally.lateness.quantile(1.0) < Duration::from_millis(3));
}

#[tokio::test(start_paused = true)]
async fn latency_counts_from_when_a_request_was_due_and_not_from_when_it_was_sent() {
    let load = load_on(&fake(), 1);
    let ledger = Ledger::open().unwrap();
    // The generator sleeps through the first second: whoever came in it has waited that long.
    let stalled = async |due: Instant| {
        sleep_until(due.max(ledger.began() + Duration::from_secs(1))).await;
        Ok(())
    };
    let arrivals = (0..100).map(|n| Duration::from_millis(n * 10));
    let tally = load.keep_to(arrivals, stalled, &ledger).await.unwrap();
    for times in [&tally.latency, &tally.lateness] {
        let median = times.quantile(0.5).as_millis();
        assert!((495..=515).contains(&median), "{median}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_loop_counts_what_it_had_no_room_for() {
    let ca = fake();
    ca.always(Answer::Hang);
    let ledger = Ledger::open().unwrap();
    let tally = keep_to(&load_on(&ca, 1), vec![0; MOST_IN_FLIGHT + 10], &ledger).await;
    assert_eq!((tally.not_sent, tally.timed_out), (10, MOST_IN_FLIGHT as u64));
}

#[tokio::test(start_paused = true)]
async fn a_warm_up_brings_the_first_refusal_and_enters_no_tally() {
    let ca = fake();
    let load = load_on(&ca, 3);
    load.warm_up().await.unwrap();
    assert_eq!(ca.calls().len(), 3);

    ca.script(Answer::Fail(FakeCa::refused_token()));
    let refused = load.warm_up().await.unwrap_err();
    assert!(format!("{refused:#}").contains("refused the token"), "{refused:#}");
}

#[tokio::test]
async fn a_rate_that_is_none_is_refused() {
    let load = load_on(&fake(), 1);
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let ledger = Ledger::open().unwrap();
        assert!(load.open(rate, Duration::from_secs(1), &ledger).await.is_err(), "{rate}");
    }
}

#[tokio::test]
async fn a_real_clock_keeps_an_open_loop_going() {
    let ca = fake();
    let ledger = Ledger::open().unwrap();
    let tally = load_on(&ca, 2).open(1_000.0, Duration::from_millis(50), &ledger).await.unwrap();
    assert_eq!(tally.issued(), ca.calls().len() as u64);
    assert_eq!((tally.lateness.count(), tally.failed()), (tally.issued(), 0));
}

#[test]
fn a_load_of_nothing_is_refused() {
    assert!(Requests::new(vec![], vec!["csr".to_owned()]).is_err());
    assert!(Requests::new(vec![Token::new("token").unwrap()], vec![]).is_err());
}
