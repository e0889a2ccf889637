//! What the bench says: a table for people, `latest.json` for machines.

use std::{fs, io, path::Path};

use serde_json::json;

/// One figure with the noise it was measured under.
#[derive(Debug)]
pub(crate) struct Figure {
    /// Dotted path; stable, the key of `latest.json`.
    pub(crate) name: &'static str,
    /// Median of the samples.
    pub(crate) value: f64,
    /// `ratio`, `us`, `ms`, `MB`, ...
    pub(crate) unit: &'static str,
    /// Half of the distance between the quartiles of the samples, in the same unit: one odd sample of many does not
    /// hide how well the others agree.
    pub(crate) spread: f64,
    /// What we aim at, where there is an aim.
    pub(crate) target: Option<Target>,
}

/// The aim of a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    Below(f64),
}

impl Figure {
    /// The median of `samples` and their spread.
    pub(crate) fn of(name: &'static str, unit: &'static str, mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |share: usize| samples[(samples.len() - 1) * share / 4];
        let spread = (at(3) - at(1)) / 2.0;
        Self { name, value: at(2), unit, spread, target: None }
    }

    /// The same figure, held against an aim.
    pub(crate) fn against(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }

    fn verdict(&self) -> String {
        let (relation, aim, met) = match self.target {
            None => return String::new(),
            Some(Target::AtLeast(aim)) => (">=", aim, self.value >= aim),
            Some(Target::Below(aim)) => ("<", aim, self.value < aim),
        };
        format!("{relation} {aim:<6} {}", if met { "met" } else { "MISSED" })
    }
}

/// Prints the table, ratios first.
pub(crate) fn print(figures: &[Figure]) {
    println!("\n{:<34} {:>10} {:>10}  {:<6} aim", "figure", "median", "+/-", "unit");
    let ratios = figures.iter().filter(|f| f.unit == "ratio");
    for figure in ratios.chain(figures.iter().filter(|f| f.unit != "ratio")) {
        let Figure { name, value, unit, spread, .. } = figure;
        println!("{name:<34} {value:>10.3} {spread:>10.3}  {unit:<6} {}", figure.verdict());
    }
}

/// Writes `latest.json`: a list of `{name, value, unit, spread}`.
pub(crate) fn write(path: &Path, figures: &[Figure]) -> io::Result<()> {
    let list: Vec<_> = figures
        .iter()
        .map(|f| json!({"name": f.name, "value": f.value, "unit": f.unit, "spread": f.spread}))
        .collect();
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    fs::write(path, serde_json::to_vec_pretty(&list)?)
}
