use std::sync::Arc;

use signet_client::AnswerFault;
use signet_client::testing::FakeCa;

use super::*;

fn tally_of(errors: impl IntoIterator<Item = CaError>) -> Tally {
    let mut tally = Tally::new().unwrap();
    errors.into_iter().for_each(|error| tally.count(Duration::from_millis(1), &Err(error)));
    tally
}

fn answered(error: CaError, code: &str) -> CaError {
    let CaError::Unavailable(Outage::Answered(refusal)) = error else { panic!("{error:?}") };
    let code = if code == "DeadlineExceeded" { 4 } else { 14 };
    CaError::Unavailable(Outage::Answered(Refusal { code: code.into(), ..refusal }))
}

#[test]
fn a_refusal_is_counted_under_its_status_and_so_is_whether_it_says_when_to_come_back() {
    let tally = tally_of([
        FakeCa::overloaded(Duration::from_secs(1)),
        FakeCa::overloaded(Duration::from_secs(2)),
        FakeCa::unavailable(),
        FakeCa::refused_token(),
    ]);
    let rows: Vec<_> = tally
        .refused
        .iter()
        .map(|(status, row)| (status.as_str(), row.count, row.with_retry_delay))
        .collect();
    assert_eq!(rows, [("RESOURCE_EXHAUSTED", 2, 2), ("UNAUTHENTICATED", 1, 0), ("UNAVAILABLE", 1, 0)]);
    assert_eq!((tally.refusals(), tally.failed(), tally.issued()), (4, 4, 0));
}

#[test]
fn what_is_no_refusal_has_a_row_of_its_own() {
    let address = || "ca.invalid:15012".to_owned();
    let outage = |outage| CaError::Unavailable(outage);
    let broken = Arc::new(std::io::Error::other("reset"));
    let cases = [
        (
            "silence is a timeout",
            outage(Outage::NoAnswer { address: address(), deadline: Duration::from_secs(5) }),
            [1, 0, 0],
        ),
        (
            "so is a CA that says its time is over",
            answered(FakeCa::unavailable(), "DeadlineExceeded"),
            [1, 0, 0],
        ),
        ("no connection", FakeCa::disconnected(), [0, 1, 0]),
        ("one that broke", outage(Outage::Broken { address: address(), source: broken }), [0, 1, 0]),
        ("nonsense", CaError::MalformedAnswer(AnswerFault::NotCertificates { index: 0 }), [0, 0, 1]),
    ];
    for (name, error, rows) in cases {
        let tally = tally_of([error]);
        assert_eq!([tally.timed_out, tally.disconnected, tally.malformed], rows, "{name}");
        assert_eq!((tally.refusals(), tally.failed()), (0, 1), "{name}");
    }
}

#[test]
fn the_first_failure_is_kept_in_words_with_what_caused_it() {
    let tally = tally_of([FakeCa::unavailable(), FakeCa::disconnected()]);
    let first = tally.first_failure.unwrap();
    assert!(first.contains("the CA is unavailable") && first.contains("the signer is away"), "{first}");
}

#[test]
fn times_keep_three_digits_and_end_at_a_minute() {
    let mut times = Latencies::new().unwrap();
    assert_eq!(times.quantile(0.99), Duration::ZERO, "of none");
    (1..=1000).for_each(|milliseconds| times.record(Duration::from_millis(milliseconds)));
    for (share, milliseconds) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
        let at = times.quantile(share).as_secs_f64() * 1e3;
        assert!((at / milliseconds - 1.0).abs() < 1e-3, "{share}: {at}");
    }
    times.record(Duration::from_secs(3600));
    assert!(times.quantile(1.0) < Duration::from_secs(61));
}

#[test]
fn the_rate_is_of_certificates_alone() {
    let mut tally = tally_of([FakeCa::unavailable()]);
    assert!(tally.rate().abs() < f64::EPSILON, "before any time has passed");
    tally.lasted = Duration::from_secs(2);
    (0..10).for_each(|_| tally.latency.record(Duration::from_millis(1)));
    assert!((tally.rate() - 5.0).abs() < 1e-9);
}
