//! What became of the streams.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::Serialize;

use crate::load::Latencies;
use crate::load::sds::{Plan, Tally};
use crate::output::status_name;
use crate::output::{BAD, GOOD, styled};

/// The answer of `signet bench sds`.
#[derive(Debug, Serialize)]
pub(super) struct Account {
    streams: usize,
    connections: usize,
    names: Vec<String>,
    lasted_seconds: f64,
    /// Streams that had their first secrets.
    with_secrets: u64,
    /// Streams that had none and had not ended.
    waiting: usize,
    /// From a stream's request to its first secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_secret: Option<Times>,
    /// Responses that were no stream's first.
    pushes: u64,
    /// Of the pushes that have reached every stream that shows the same token: from the first stream to the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    push_to_all: Option<Times>,
    /// Streams that ended.
    ended: Vec<Ended>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Times {
    count: u64,
    p50_seconds: f64,
    p99_seconds: f64,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Ended {
    status: String,
    streams: usize,
    /// Of the first one.
    message: String,
}

impl Account {
    pub(super) fn of(plan: &Plan, lasted: Duration, tally: &Tally) -> Self {
        let ended = tally.ends().map(|(code, ends)| Ended {
            status: status_name(code),
            streams: ends.streams,
            message: ends.message.clone(),
        });
        Self {
            streams: plan.streams,
            connections: plan.connections,
            names: plan.names.clone(),
            lasted_seconds: lasted.as_secs_f64(),
            with_secrets: tally.waited().count(),
            waiting: tally.waiting(),
            first_secret: Times::of(tally.waited()),
            pushes: tally.pushes(),
            push_to_all: Times::of(tally.spans()),
            ended: ended.collect(),
        }
    }

    /// Whether each stream got its secrets and none ended.
    pub(super) fn held(&self) -> bool {
        self.waiting == 0 && self.ended.is_empty()
    }
}

impl Times {
    fn of(times: &Latencies) -> Option<Self> {
        let quantile = |share| times.quantile(share).as_secs_f64();
        (times.count() > 0).then(|| Self {
            count: times.count(),
            p50_seconds: quantile(0.5),
            p99_seconds: quantile(0.99),
        })
    }
}

impl Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.1} ms, p99 {:.1} ms", self.p50_seconds * 1e3, self.p99_seconds * 1e3)
    }
}

impl Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { streams, connections, names, lasted_seconds, with_secrets, .. } = self;
        let names = names.join(", ");
        writeln!(f, "{streams} streams for {names}, connections: {connections}, {lasted_seconds:.1} s")?;
        let style = if self.held() { GOOD } else { BAD };
        let secrets = format!("{with_secrets} got secrets, {} did not and wait", self.waiting);
        write!(f, "  {}", styled(style, secrets))?;
        match &self.first_secret {
            Some(times) => writeln!(f, "; first secret after {times}")?,
            None => writeln!(f)?,
        }
        match &self.push_to_all {
            Some(times) => writeln!(
                f,
                "  {} pushes; {} reached all their streams, from the first to the last in {times}",
                self.pushes, times.count
            )?,
            None => writeln!(f, "  {} pushes; none reached all its streams", self.pushes)?,
        }
        for Ended { status, streams, message } in &self.ended {
            writeln!(f, "  {}", styled(BAD, format!("{streams} ended: {status} {message}")))?;
        }
        Ok(())
    }
}
