//! What it has been asked, by its own audit log: the only count that no client can get wrong.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::OpenBao;

/// A request that it has answered. What a rate limit turned away, and what came while it was sealed, is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Below `/v1/`.
    pub path: String,
    /// What it answered instead of doing it.
    pub error: Option<String>,
}

impl OpenBao {
    /// Everything that it has been asked, in the order of its answers.
    pub fn asked(&self) -> Result<Vec<Asked>> {
        let log = fs::read_to_string(&self.audit_log).context("cannot read the audit log of OpenBao")?;
        // The last line may be half written.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let records = whole.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        Ok(records.iter().filter_map(answer).collect())
    }

    /// How often it has been asked for `path`.
    pub fn count(&self, path: &str) -> Result<usize> {
        Ok(self.asked()?.iter().filter(|asked| asked.path == path).count())
    }

    pub(super) async fn start_audit(&self) -> Result<()> {
        let file = json!({"type": "file", "options": {"file_path": self.audit_log}});
        self.write("sys/audit/file", &file).await.map(drop)
    }
}

fn answer(record: &Value) -> Option<Asked> {
    let text = |pointer| record.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    (text("/type")? == "response").then_some(())?;
    Some(Asked { path: text("/request/path")?, error: text("/error") })
}
