//! The `signet` command, run as its users run it.

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

    /// The answer as the one object that it is.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.answer).with_context(|| format!("no JSON in {self:?}"))
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}
