//! How a CA kept up.

use std::fmt::{self, Display};

use serde::Serialize;

use crate::load::{Latencies, Tally};
use crate::output::{BAD, GOOD, span, styled};

/// The answer of `signet bench issue`.
#[derive(Debug, Serialize)]
pub(super) struct Account {
    lasted_seconds: f64,
    issued: u64,
    /// Certificates a second, from the beginning to the last answer.
    issued_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_per_second: Option<u32>,
    /// Of the certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<Times>,
    /// How far the load generator was behind its own schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    lateness: Option<Times>,
    refused: Vec<Refused>,
    timed_out: u64,
    disconnected: u64,
    malformed: u64,
    not_sent: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_failure: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Times {
    p50_seconds: f64,
    p99_seconds: f64,
    p999_seconds: f64,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Refused {
    status: String,
    requests: u64,
    /// Those that said when to come back.
    with_retry_delay: u64,
}

impl Account {
    pub(super) fn of(tally: &Tally, asked_per_second: Option<u32>) -> Self {
        let refused = tally.refused.iter().map(|(status, refusals)| Refused {
            status: status.clone(),
            requests: refusals.count,
            with_retry_delay: refusals.with_retry_delay,
        });
        Self {
            lasted_seconds: tally.lasted.as_secs_f64(),
            issued: tally.issued(),
            issued_per_second: tally.rate(),
            asked_per_second,
            latency: Times::of(&tally.latency),
            lateness: Times::of(&tally.lateness),
            refused: refused.collect(),
            timed_out: tally.timed_out,
            disconnected: tally.disconnected,
            malformed: tally.malformed,
            not_sent: tally.not_sent,
            first_failure: tally.first_failure.clone(),
        }
    }

    /// Whether certificates were issued, and nothing else.
    pub(super) fn held(&self) -> bool {
        self.issued > 0 && self.failures().iter().all(|(count, _)| *count == 0)
    }

    fn failures(&self) -> Vec<(u64, String)> {
        let refused = self.refused.iter().map(|refused| {
            let Refused { status, requests, with_retry_delay } = refused;
            (*requests, format!("refused: {status}, {with_retry_delay} told when to come back"))
        });
        let others = [
            (self.timed_out, "timed out"),
            (self.disconnected, "had no connection, or lost it"),
            (self.malformed, "got an answer that makes no sense"),
            (self.not_sent, "not sent: too many were in flight"),
        ];
        refused.chain(others.map(|(count, what)| (count, what.to_owned()))).collect()
    }
}

impl Times {
    fn of(times: &Latencies) -> Option<Self> {
        let quantile = |share| times.quantile(share).as_secs_f64();
        (times.count() > 0).then(|| Self {
            p50_seconds: quantile(0.5),
            p99_seconds: quantile(0.99),
            p999_seconds: quantile(0.999),
        })
    }
}

impl Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = [self.p50_seconds, self.p99_seconds, self.p999_seconds].map(|time| time * 1e3);
        let [p50, p99, p999] = milliseconds;
        write!(f, "p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms")
    }
}

impl Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = if self.held() { GOOD } else { BAD };
        let issued = styled(style, format!("{} certificates", self.issued));
        let lasted = span(std::time::Duration::from_secs_f64(self.lasted_seconds));
        writeln!(f, "{issued} in {lasted}, {:.0}/s", self.issued_per_second)?;
        if let Some(latency) = &self.latency {
            writeln!(f, "  latency {latency}")?;
        }
        if let Some(Times { p99_seconds, .. }) = &self.lateness {
            writeln!(f, "  sent up to {:.2} ms after they were due (p99)", p99_seconds * 1e3)?;
        }
        for (count, what) in self.failures().into_iter().filter(|(count, _)| *count > 0) {
            writeln!(f, "  {}", styled(BAD, format!("{count} {what}")))?;
        }
        match &self.first_failure {
            Some(failure) => writeln!(f, "  the first failure: {failure}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::load::{Ledger, Refusals};

    fn tally() -> Tally {
        let refused = [("RESOURCE_EXHAUSTED".to_owned(), Refusals { count: 3, with_retry_delay: 2 })];
        Tally {
            refused: refused.into(),
            timed_out: 1,
            first_failure: Some("the CA is overloaded".to_owned()),
            lasted: Duration::from_secs(2),
            ..Ledger::open().unwrap().so_far()
        }
    }

    #[test]
    fn each_failure_has_its_line_and_what_did_not_happen_has_none() {
        let text = anstream::adapter::strip_str(&Account::of(&tally(), None).to_string()).to_string();
        assert_eq!(
            text,
            "0 certificates in 2.0 s, 0/s\n  \
             3 refused: RESOURCE_EXHAUSTED, 2 told when to come back\n  \
             1 timed out\n  \
             the first failure: the CA is overloaded\n"
        );
    }

    #[test]
    fn the_json_is_as_it_is_documented() {
        let account: Value = serde_json::to_value(Account::of(&tally(), Some(100))).unwrap();
        assert_eq!(
            account,
            json!({
                "lasted_seconds": 2.0, "issued": 0, "issued_per_second": 0.0, "asked_per_second": 100,
                "refused": [{"status": "RESOURCE_EXHAUSTED", "requests": 3, "with_retry_delay": 2}],
                "timed_out": 1, "disconnected": 0, "malformed": 0, "not_sent": 0,
                "first_failure": "the CA is overloaded",
            })
        );
    }

    #[test]
    fn a_load_that_brought_nothing_did_not_hold() {
        assert!(!Account::of(&Ledger::open().unwrap().so_far(), None).held());
        assert!(!Account::of(&tally(), None).held());
    }
}
