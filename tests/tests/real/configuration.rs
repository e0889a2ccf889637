//! `docs/configuration.md` names the keys that the programs know, all of them and no others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use signet::stage::Stage;
use signet_tests::alone;

#[test]
fn every_key_is_documented_and_every_documented_key_is_known() {
    alone(async |programs| {
        let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md"))?;
        for (title, program) in [("signet-ca", programs.ca()?), ("signet-node-agent", programs.node_agent()?)]
        {
            let (_, chapter) = page.split_once(&format!("\n## {title}\n")).context("no such chapter")?;
            let chapter = chapter.split("\n## ").next().unwrap_or_default();
            let tables: Vec<_> = chapter.split("\n### `").skip(1).filter_map(Table::read).collect();
            ensure!(tables.len() >= 7, "{title}: {} tables", tables.len());
            for table in tables {
                let known = known_keys(&program, table.header)?;
                ensure!(
                    table.keys == known,
                    "{title} {}: {:?} documented, {known:?} known",
                    table.header,
                    table.keys
                );
            }
        }
        Ok(())
    });
}

/// A table of the page.
struct Table<'a> {
    /// `[limits]`, `[[issuer]]`
    header: &'a str,
    keys: BTreeSet<String>,
}

impl<'a> Table<'a> {
    fn read(section: &'a str) -> Option<Self> {
        let (header, rows) = section.split_once('`')?;
        let key = |row: &str| Some(row.strip_prefix("| `")?.split_once('`')?.0.to_owned());
        Some(Self { header, keys: rows.lines().filter_map(key).collect() })
    }
}

/// What the program offers in place of a key that it does not know.
fn known_keys(program: &Path, header: &str) -> Result<BTreeSet<String>> {
    let stage = Stage::set()?;
    let file = stage.write("unknown.toml", &format!("{header}\nno_such_key = 1\n"))?;
    let output = Command::new(program).arg("--config").arg(&file).arg("check").output()?;
    let faults = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, offered) =
        faults.split_once("no_such_key: unknown key; want one of ").with_context(|| faults.clone())?;
    let offered = offered.split_once('.').context("the list has no end")?.0;
    Ok(offered.split(", ").map(str::to_owned).collect())
}
