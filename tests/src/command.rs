//! The `signet` command, run as its users run it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use signet::stage::Programs;

/// What a run of the command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub answer: String,
    /// Standard error.
    pub notes: String,
}

impl Said {
    /// Runs `signet` with these arguments.
    pub fn by(programs: &Programs, arguments: &[&str]) -> Result<Self> {
        Self::of(Command::new(programs.signet()?).args(arguments).output()?)
    }

    /// What a run that is over has said.
    pub fn of(output: Output) -> Result<Self> {
        Ok(Self {
            code: output.status.code().context("the command was killed")?,
            answer: String::from_utf8(output.stdout)?,
            notes: String::from_utf8(output.stderr)?,
        })
    }

    /// Fails unless it ended with this code, and said each of these things somewhere.
    pub fn must(self, code: i32, parts: &[&str]) -> Result<Self> {
        ensure!(self.code == code, "exit code {} where {code} was expected: {self:?}", self.code);
        for part in parts {
            ensure!(self.answer.contains(part) || self.notes.contains(part), "no {part:?} in {self:?}");
        }
        Ok(self)
    }

    /// The answer as the one object that it is. Fails if it has a field that `docs/command-line.md` does not name.
    pub fn json(&self) -> Result<Value> {
        let answer = serde_json::from_str(&self.answer).with_context(|| format!("no JSON in {self:?}"))?;
        must_be_documented(&answer)?;
        Ok(answer)
    }

    /// The same of answers that came one after another, each in its line.
    pub fn json_lines(&self) -> Result<Vec<Value>> {
        let answers: Vec<Value> = self.answer.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        answers.iter().try_for_each(must_be_documented)?;
        Ok(answers)
    }
}

fn must_be_documented(answer: &Value) -> Result<()> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/command-line.md"))?;
    let unknown: Vec<_> = fields(answer)
        .into_iter()
        .filter(|field| !page.contains(&format!("\"{field}\"")) && !page.contains(&format!("`{field}`")))
        .collect();
    ensure!(unknown.is_empty(), "docs/command-line.md does not name {unknown:?}");
    Ok(())
}

fn fields(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(object) => {
            object.iter().flat_map(|(name, value)| [vec![name.as_str()], fields(value)].concat()).collect()
        }
        Value::Array(values) => values.iter().flat_map(fields).collect(),
        _ => vec![],
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}
