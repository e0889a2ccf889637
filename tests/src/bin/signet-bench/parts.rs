//! The parts of the bench, each of which returns figures and stands on a stage of its own.

use anyhow::{Result, bail};
use futures_util::future::LocalBoxFuture;
use signet::stage::Programs;
use tokio::time::Instant;

use crate::{
    idle, issue,
    processes::{Core, pin},
    push, renewal,
    report::Figure,
    rsa_issuer::RsaIssuer,
    sds,
};

/// All of them, in the order in which they run.
pub(crate) const PARTS: &[Part] = &[
    Part { name: "idle", measure: |bench| Box::pin(idle::measure(bench)) },
    Part { name: "issue", measure: |bench| Box::pin(issue::measure(bench)) },
    Part { name: "sds", measure: |bench| Box::pin(sds::measure(bench)) },
    Part { name: "push", measure: |bench| Box::pin(push::measure(bench)) },
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
}

impl Bench {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { issuer: RsaIssuer::new(), programs: Programs::beside_this_one("no Envoy is started")? })
    }

    pub(crate) async fn measure(&self, parts: &[Part]) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for part in parts {
            pin(Core::Load)?;
            let began = Instant::now();
            figures.extend((part.measure)(self).await?);
            println!("{}: {:.0} s", part.name, began.elapsed().as_secs_f64());
        }
        Ok(figures)
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
        assert!(refused.contains("`isue`") && refused.contains("issue, sds, push"), "{refused}");
    }
}
