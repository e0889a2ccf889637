//! Things that were looked at, one a line.

use std::fmt::{self, Display};

use serde::Serialize;

use super::{BAD, GOOD, styled};

/// One thing that should be so, and whether it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    name: &'static str,
    held: bool,
    statement: String,
}

impl Check {
    /// `finding` says what was seen: what is right about it (`Ok`), or what is wrong (`Err`).
    pub(crate) fn new(name: &'static str, finding: Result<String, String>) -> Self {
        let held = finding.is_ok();
        Self { name, held, statement: finding.unwrap_or_else(|fault| fault) }
    }

    /// What it is about.
    #[cfg(test)]
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Is it so?
    pub(crate) fn held(&self) -> bool {
        self.held
    }
}

impl Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.held { styled(GOOD, "✓") } else { styled(BAD, "✗") };
        write!(f, "{mark} {:<10} {}", self.name, self.statement)
    }
}
