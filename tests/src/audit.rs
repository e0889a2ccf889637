//! The CA's audit log, read as an auditor would.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// What the records say when they are put together.
#[derive(Debug, Default)]
pub struct Audit {
    /// Request ids of intents, each with its outcomes: `issued`, `failed` or `abandoned`.
    pub outcomes: BTreeMap<String, Vec<String>>,
    /// Serials of the certificates that were issued.
    pub serials: BTreeSet<String>,
    /// Key ids of the authorities that were to sign.
    pub authorities: BTreeSet<String>,
}

impl Audit {
    /// Reads all of it. Fails on a line that is no record, and on an outcome without an intent before it.
    pub fn read(log: &Path) -> Result<Self> {
        let mut audit = Self::default();
        for line in fs::read_to_string(log).context("cannot read the audit log")?.lines() {
            let record: Value =
                serde_json::from_str(line).with_context(|| format!("not a record: {line}"))?;
            audit.add(&record).with_context(|| format!("in {line}"))?;
        }
        Ok(audit)
    }

    /// Intents that do not have exactly one outcome.
    pub fn gaps(&self) -> Vec<&str> {
        self.outcomes
            .iter()
            .filter(|(_, outcomes)| outcomes.len() != 1)
            .map(|(intent, _)| intent.as_str())
            .collect()
    }

    fn add(&mut self, record: &Value) -> Result<()> {
        let text =
            |name| record.get(name).and_then(Value::as_str).with_context(|| format!("it has no {name}"));
        match text("event")? {
            "signing" => {
                let before = self.outcomes.insert(text("request_id")?.to_owned(), Vec::new());
                ensure!(before.is_none(), "a second intent under this request id");
                self.authorities.insert(text("authority")?.to_owned());
            }
            outcome @ ("issued" | "failed" | "abandoned") => {
                let outcomes =
                    self.outcomes.get_mut(text("request_id")?).context("an outcome without an intent")?;
                outcomes.push(outcome.to_owned());
                if outcome == "issued" {
                    self.serials.insert(text("serial")?.to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }
}
