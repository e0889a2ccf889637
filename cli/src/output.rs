//! Output for a person at a terminal: promises, and beneath each what shows that it holds.

use std::io::{self, IsTerminal, Write};

/// Promises and their proofs, written as they come and counted. Colours are used on a terminal only.
#[derive(Debug)]
pub(crate) struct Report<W> {
    output: W,
    style: Style,
    promises: usize,
    held: usize,
    broken: usize,
}

/// How text is set.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    Plain,
    Coloured,
}

/// One thing that was looked at, and whether it is as it was promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    held: bool,
    statement: String,
    evidence: Vec<String>,
}

impl Proof {
    /// `statement` says what was seen, whether it `held` or not.
    #[allow(clippy::fn_params_excessive_bools, reason = "a proof is a statement and its truth")]
    pub(crate) fn new(held: bool, statement: impl Into<String>) -> Self {
        Self { held, statement: statement.into(), evidence: Vec::new() }
    }

    /// Adds a line that is shown as it is.
    #[must_use]
    pub(crate) fn evidence(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }
}

impl Report<io::Stdout> {
    /// A report to standard output.
    pub(crate) fn to_stdout() -> Self {
        let output = io::stdout();
        let style = if output.is_terminal() { Style::Coloured } else { Style::Plain };
        Self::new(output, style)
    }
}

impl<W: Write> Report<W> {
    /// A report to anything.
    pub(crate) fn new(output: W, style: Style) -> Self {
        Self { output, style, promises: 0, held: 0, broken: 0 }
    }

    /// A line in bold.
    pub(crate) fn title(&mut self, text: &str) -> io::Result<()> {
        let text = self.in_style("1", text);
        writeln!(self.output, "{text}")
    }

    /// A line that belongs to what stands above it.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.output, "   {text}")?;
        self.output.flush()
    }

    /// Opens the next section.
    pub(crate) fn promise(&mut self, text: &str) -> io::Result<()> {
        self.promises += 1;
        writeln!(self.output)?;
        self.title(&format!("{}. {text}", self.promises))
    }

    /// What shows that the last promise holds, or does not. An error is a proof that could not be had.
    pub(crate) fn shown<E: std::fmt::Display>(&mut self, proofs: Result<Vec<Proof>, E>) -> io::Result<()> {
        let proofs = proofs
            .unwrap_or_else(|error| vec![Proof::new(false, format!("this could not be shown: {error:#}"))]);
        for proof in proofs {
            self.proof(&proof)?;
        }
        Ok(())
    }

    /// Says how it went; the last line counts the proofs. Did all of them hold?
    pub(crate) fn verdict(&mut self, held: &str, broken: &str) -> io::Result<bool> {
        let all_held = self.broken == 0 && self.held > 0;
        let (colour, text) = if all_held { ("1;32", held) } else { ("1;31", broken) };
        let text = self.in_style(colour, text);
        writeln!(self.output, "\n{text}\n{} passed, {} failed", self.held, self.broken)?;
        Ok(all_held)
    }

    fn proof(&mut self, proof: &Proof) -> io::Result<()> {
        let mark = if proof.held {
            self.held += 1;
            self.in_style("32", "✓")
        } else {
            self.broken += 1;
            self.in_style("31", "✗")
        };
        writeln!(self.output, "   {mark} {}", proof.statement)?;
        for line in &proof.evidence {
            let line = self.in_style("2", line);
            writeln!(self.output, "     {line}")?;
        }
        self.output.flush()
    }

    /// `code` as in ECMA-48 (SGR).
    fn in_style(&self, code: &str, text: &str) -> String {
        match self.style {
            Style::Plain => text.to_owned(),
            Style::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_as_promises_with_their_proofs_and_a_count() {
        let mut report = Report::new(Vec::new(), Style::Plain);
        report.promise("It holds").unwrap();
        report.shown::<String>(Ok(vec![Proof::new(true, "seen twice").evidence("1, 2")])).unwrap();
        report.promise("It does not").unwrap();
        report.shown::<String>(Ok(vec![Proof::new(false, "seen never")])).unwrap();

        assert!(!report.verdict("fine", "broken").unwrap());

        let text = String::from_utf8(report.output).unwrap();
        assert_eq!(
            text,
            "\n1. It holds\n   ✓ seen twice\n     1, 2\n\n2. It does not\n   ✗ seen never\n\nbroken\n1 passed, 1 failed\n"
        );
    }

    #[test]
    fn a_proof_that_could_not_be_had_counts_as_one_that_failed() {
        let mut report = Report::new(Vec::new(), Style::Plain);
        report.shown(Err("no answer")).unwrap();
        assert!(!report.verdict("fine", "broken").unwrap());
        assert!(String::from_utf8(report.output).unwrap().ends_with("0 passed, 1 failed\n"));
    }

    #[test]
    fn nothing_shown_is_nothing_proven() {
        assert!(!Report::new(Vec::new(), Style::Plain).verdict("fine", "broken").unwrap());
    }

    #[test]
    fn colours_are_for_terminals() {
        let mut report = Report::new(Vec::new(), Style::Coloured);
        report.shown::<String>(Ok(vec![Proof::new(true, "seen")])).unwrap();
        assert!(String::from_utf8(report.output).unwrap().contains("\x1b[32m✓\x1b[0m seen"));
    }
}
