//! The parts of the bench, each of which returns figures and stands on a stage of its own.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::UNIX_EPOCH,
};

use anyhow::{Context, Result, bail};
use futures_util::future::LocalBoxFuture;
use signet::stage::Programs;
use signet_client::Token;
use signet_identity::{Clock, SpiffeId};
use signet_runtime::SystemClock;
use tokio::time::Instant;

use crate::{
    idle, issue, latency, overload,
    processes::{Core, pin},
    push, renewal,
    report::Figure,
    rsa_issuer::{RsaIssuer, WORKLOAD},
    sds, start, storm, two_cores, vault,
};

/// All of them, in the order in which they run.
pub(crate) const PARTS: &[Part] = &[
    Part { name: "idle", measure: |bench| Box::pin(idle::measure(bench)) },
    Part { name: "start", measure: |bench| Box::pin(start::measure(bench)) },
    Part { name: "issue", measure: |bench| Box::pin(issue::measure(bench)) },
    Part { name: "two-cores", measure: |bench| Box::pin(two_cores::measure(bench)) },
    Part { name: "latency", measure: |bench| Box::pin(latency::measure(bench)) },
    Part { name: "overload", measure: |bench| Box::pin(overload::measure(bench)) },
    Part { name: "storm", measure: |bench| Box::pin(storm::measure(bench)) },
    Part { name: "sds", measure: |bench| Box::pin(sds::measure(bench)) },
    Part { name: "push", measure: |bench| Box::pin(push::measure(bench)) },
    Part { name: "vault", measure: |bench| Box::pin(vault::measure(bench)) },
    Part { name: "renewal", measure: |bench| Box::pin(renewal::measure(bench)) },
];

/// One subject of the bench. Its thread is on the load generator's core when it begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    measure: fn(&Bench) -> LocalBoxFuture<'_, Result<Vec<Figure>>>,
}

/// What every part is given.
pub(crate) struct Bench {
    /// Whose tokens the CA accepts.
    pub(crate) issuer: RsaIssuer,
    /// Built for release.
    pub(crate) programs: Programs,
    minted: AtomicUsize,
}

impl Bench {
    pub(crate) fn new() -> Result<Self> {
        let programs = Programs::beside_this_one("no Envoy is started")?;
        Ok(Self { issuer: RsaIssuer::new(), programs, minted: AtomicUsize::new(0) })
    }

    pub(crate) async fn measure(&self, parts: &[Part]) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for part in parts {
            pin(Core::Load)?;
            let began = Instant::now();
            let measured = (part.measure)(self).await;
            figures.extend(measured.with_context(|| format!("the part `{}`", part.name))?);
            println!("{}: {:.0} s", part.name, began.elapsed().as_secs_f64());
        }
        Ok(figures)
    }

    /// So many tokens that no other call returns, valid for an hour, of the one workload. They are minted by both cores:
    /// an RSA signature takes its time.
    pub(crate) fn tokens(&self, count: usize) -> Result<Vec<Token>> {
        let first = self.minted.fetch_add(count, Ordering::Relaxed);
        let now = SystemClock.now().duration_since(UNIX_EPOCH)?.as_secs();
        let mint = |numbers: std::ops::Range<usize>| -> Result<Vec<Token>> {
            pin(Core::Both)?;
            numbers.map(|number| Ok(Token::new(&self.issuer.token(number, now))?)).collect()
        };
        let middle = first + count / 2;
        thread::scope(|scope| {
            let halves = [first..middle, middle..first + count].map(|half| scope.spawn(|| mint(half)));
            let halves = halves.map(|half| half.join().expect("minting does not panic"));
            Ok(halves.into_iter().collect::<Result<Vec<_>>>()?.concat())
        })
    }

    /// Whom the tokens speak for.
    pub(crate) fn workload(&self) -> Result<SpiffeId> {
        Ok(WORKLOAD.parse()?)
    }
}

/// The named parts in their order, or all of them if none is named.
pub(crate) fn chosen(names: Vec<String>) -> Result<Vec<Part>> {
    let known = || PARTS.iter().map(|part| part.name);
    if let Some(unknown) = names.iter().find(|name| !known().any(|known| known == **name)) {
        let known: Vec<_> = known().collect();
        bail!("there is no part `{unknown}` of the bench; there are: {}", known.join(", "));
    }
    let is_chosen = |part: &&Part| names.is_empty() || names.iter().any(|name| name == part.name);
    Ok(PARTS.iter().filter(is_chosen).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(asked: &[&str]) -> Result<Vec<&'static str>> {
        let parts = chosen(asked.iter().map(|name| (*name).to_owned()).collect())?;
        Ok(parts.iter().map(|part| part.name).collect())
    }

    #[test]
    fn all_parts_run_unless_some_are_named() {
        assert_eq!(names(&[]).unwrap().len(), PARTS.len());
        assert_eq!(names(&["sds", "idle"]).unwrap(), ["idle", "sds"], "in the order of the bench");
    }

    #[test]
    fn a_part_that_is_not_there_is_refused_with_those_that_are() {
        let refused = names(&["isue"]).unwrap_err().to_string();
        assert!(refused.contains("`isue`") && refused.contains(" issue,"), "{refused}");
    }
}
