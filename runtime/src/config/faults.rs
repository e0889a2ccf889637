//! Everything that is wrong with a configuration, told at once.

use std::{error::Error, fmt};

/// The faults of one configuration, in the order in which they were found.
///
/// Displayed as `ca.toml: 2 faults. listen.grpc: .... issuing.max_lifetime: ....`: a line for a log or a
/// terminal, each fault with its key and its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    document: String,
    faults: Vec<(String, String)>,
}

impl Faults {
    /// No faults yet, in the document of that name.
    pub(super) fn none_in(document: impl Into<String>) -> Self {
        Self { document: document.into(), faults: Vec::new() }
    }

    /// The one fault of a document that could not be understood at all.
    pub(super) fn one(document: impl Into<String>, message: impl Into<String>) -> Self {
        Self { document: document.into(), faults: vec![(String::new(), message.into())] }
    }

    /// Adds a fault of the key at `path` (empty: of the document as a whole).
    pub(super) fn push(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.faults.push((path.into(), message.into()));
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.faults.iter().any(|(faulty, _message)| faulty == path)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.faults.len() == 1 { "" } else { "s" };
        write!(f, "{}: {} fault{plural}.", self.document, self.faults.len())?;
        for (path, message) in &self.faults {
            let colon = if path.is_empty() { "" } else { ": " };
            write!(f, " {path}{colon}{message}.")?;
        }
        Ok(())
    }
}

impl Error for Faults {}
