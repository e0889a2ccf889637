//! What the bench says: a table for people, `latest.json` for machines.

use std::{fs, iter, path::Path};

use anyhow::Result;
use serde_json::{Value, json};

use crate::plot;

/// One figure with the noise it was measured under.
#[derive(Debug)]
pub(crate) struct Figure {
    /// Dotted path; stable, the key of `latest.json`.
    pub(crate) name: String,
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
    /// The median of `samples`, of which there is at least one, and their spread.
    pub(crate) fn of(name: impl Into<String>, unit: &'static str, mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |share: usize| samples[(samples.len() - 1) * share / 4];
        let spread = (at(3) - at(1)) / 2.0;
        Self { name: name.into(), value: at(2), unit, spread, target: None }
    }

    /// The same figure, held against an aim.
    pub(crate) fn against(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }

    fn line(&self) -> String {
        let Self { name, value, unit, spread, .. } = self;
        format!("{name:<44} {value:>10.3} {spread:>9.3}  {unit:<6} {}", self.verdict())
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

/// The table: ratios first, then the rest, each in the order in which it was measured.
pub(crate) fn table(figures: &[Figure]) -> String {
    let head = format!("{:<44} {:>10} {:>9}  {:<6} aim", "figure", "median", "+/-", "unit");
    let (ratios, rest): (Vec<_>, Vec<_>) = figures.iter().partition(|figure| figure.unit == "ratio");
    let lines = ratios.into_iter().chain(rest).map(Figure::line);
    iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
}

/// Writes `latest.json`, a list of `{name, value, unit, spread}`, and `latest.svg`, the picture.
pub(crate) fn write(directory: &Path, figures: &[Figure]) -> Result<()> {
    fs::create_dir_all(directory)?;
    let (json, svg) = (directory.join("latest.json"), directory.join("latest.svg"));
    fs::write(&json, serde_json::to_vec_pretty(&list(figures))?)?;
    println!("\nwritten to {}", json.display());
    if let Some(picture) = plot::svg(figures)? {
        fs::write(&svg, picture)?;
        println!("       and {}", svg.display());
    }
    Ok(())
}

fn list(figures: &[Figure]) -> Value {
    let entry = |f: &Figure| json!({"name": f.name, "value": f.value, "unit": f.unit, "spread": f.spread});
    figures.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_median_of_its_samples_and_half_the_distance_of_their_quartiles() {
        let figure = Figure::of("it", "ms", vec![9.0, 1.0, 5.0, 2.0, 4.0]);
        assert_eq!((figure.value, figure.spread), (4.0, 1.5));

        let once = Figure::of("it", "ms", vec![7.0]);
        assert_eq!((once.value, once.spread), (7.0, 0.0));
    }

    #[test]
    fn an_aim_is_met_or_missed() {
        for (value, target, verdict) in [
            (0.90, Target::AtLeast(0.9), ">= 0.9    met"),
            (0.89, Target::AtLeast(0.9), ">= 0.9    MISSED"),
            (99.9, Target::Below(100.0), "< 100    met"),
            (100.0, Target::Below(100.0), "< 100    MISSED"),
        ] {
            assert_eq!(Figure::of("it", "ms", vec![value]).against(target).verdict(), verdict, "{value}");
        }
    }

    #[test]
    fn the_table_begins_with_the_ratios() {
        let figures = [Figure::of("b", "ms", vec![1.0]), Figure::of("a.of_limit", "ratio", vec![0.5])];
        let table = table(&figures);
        let firsts: Vec<_> = table.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(firsts, ["figure", "a.of_limit", "b"]);
    }

    #[test]
    fn latest_json_is_a_list_of_name_value_unit_and_spread() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bench");
        write(&path, &[Figure::of("a.b", "ms", vec![1.5]).against(Target::Below(2.0))]).unwrap();
        let written: Value = serde_json::from_slice(&fs::read(path.join("latest.json")).unwrap()).unwrap();
        assert_eq!(written, json!([{"name": "a.b", "value": 1.5, "unit": "ms", "spread": 0.0}]));
    }
}
