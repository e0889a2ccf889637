//! One way to ask for certificates, measured again and again beside its limit.

use std::{rc::Rc, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use signet::load::{Issuance, Ledger, Until};

use crate::{
    limit::{Limit, Operation},
    processes::{Core, ServingCa, pin},
    report::{Figure, Target},
};

/// Who asks whom, how, and what of.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) ca: Rc<ServingCa>,
    pub(super) load: Arc<Issuance>,
    /// On each connection.
    pub(super) in_flight: usize,
    /// Certificates a sample: some tenths of a second, over which a machine's speed hardly changes.
    pub(super) count: u64,
    /// The limit.
    pub(super) operations: &'static [Operation],
    pub(super) aim: Option<Target>,
    pub(super) samples: Vec<Sample>,
}

/// What one certificate took, and its cryptography alone just before and after.
pub(super) struct Sample {
    pub(super) limit: Duration,
    /// The same without the token's.
    pub(super) limit_without_token: Duration,
    /// The CA's CPU time.
    pub(super) each: Duration,
    /// Certificates a second. The load generator has its part in it.
    pub(super) rate: f64,
    /// Median latency.
    pub(super) p50: Duration,
}

impl Scenario {
    pub(super) fn aiming_at(self, share: f64) -> Self {
        Self { aim: Some(Target::AtLeast(share)), ..self }
    }

    pub(super) async fn warm_up(&self) -> Result<()> {
        self.load.warm_up().await?;
        self.issue().await.map(drop)
    }

    pub(super) async fn sample(&mut self, limit: &Limit) -> Result<()> {
        let before = self.on_the_servers_core(limit)?;
        let (each, rate, p50) = self.issue().await?;
        let after = self.on_the_servers_core(limit)?;
        let mean = |of: fn((Duration, Duration)) -> Duration| (of(before) + of(after)) / 2;
        let (limit, limit_without_token) = (mean(|pair| pair.0), mean(|pair| pair.1));
        self.samples.push(Sample { limit, limit_without_token, each, rate, p50 });
        Ok(())
    }

    /// The ratio first, then what it is made of.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let figure = |what: &str, unit, value: fn(&Sample) -> f64| {
            Figure::of(format!("issue.{}.{what}", self.name), unit, self.samples.iter().map(value).collect())
        };
        let of_limit = figure("of_limit", "ratio", |s| s.limit.as_secs_f64() / s.each.as_secs_f64());
        vec![
            Figure { target: self.aim, ..of_limit },
            figure("cpu_us", "us", |sample| sample.each.as_secs_f64() * 1e6),
            figure("limit_us", "us", |sample| sample.limit.as_secs_f64() * 1e6),
            figure("p50_ms", "ms", |sample| sample.p50.as_secs_f64() * 1e3),
        ]
    }

    /// The server's CPU time for each of the certificates, their rate and median latency.
    async fn issue(&self) -> Result<(Duration, f64, Duration)> {
        let before = self.ca.cpu()?;
        let tally = self.load.closed(self.in_flight, Until::Made(self.count), &Ledger::open()?).await;
        let used = self.ca.cpu()? - before;
        let failure = tally.first_failure.as_deref();
        ensure!(
            failure.is_none(),
            "{}: a certificate was refused: {}",
            self.name,
            failure.unwrap_or_default()
        );
        Ok((used / u32::try_from(self.count)?, tally.rate(), tally.latency.quantile(0.5)))
    }

    /// The limit where the server runs, with and without the token: the cores of one machine differ. The other core
    /// rests meanwhile, which never flatters the ratio: issuing, it is partly busy.
    fn on_the_servers_core(&self, limit: &Limit) -> Result<(Duration, Duration)> {
        pin(Core::Servers)?;
        let all = limit.measure(self.operations);
        let token = limit.measure(&[Operation::Token]);
        pin(Core::Load)?;
        Ok((all, all - token))
    }
}
