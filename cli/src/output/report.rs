//! Promises, and beneath each what shows that it holds.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use super::{BAD, BOLD, DIM, Format, GOOD, styled};

/// Promises and their proofs, written as they come and counted.
///
/// A person reads them on standard output. For a script they are one object at the end, and the text goes where it
/// does not disturb.
pub(crate) struct Report<'a> {
    text: &'a mut dyn Write,
    object: Option<&'a mut dyn Write>,
    promises: Vec<Promise>,
}

/// One section: what is promised, and what was seen.
#[derive(Debug, Serialize)]
struct Promise {
    promise: String,
    proofs: Vec<Proof>,
}

/// One thing that was looked at, and whether it is as it was promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Proof {
    held: bool,
    statement: String,
    evidence: Vec<String>,
}

/// What a script gets.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    held: bool,
    passed: usize,
    failed: usize,
    promises: &'a [Promise],
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

impl<'a> Report<'a> {
    /// A report in that format; `notes` takes its text where `output` takes the object.
    pub(super) fn new(format: Format, output: &'a mut dyn Write, notes: &'a mut dyn Write) -> Self {
        let (text, object) = match format {
            Format::Text => (output, None),
            Format::Json => (notes, Some(output)),
        };
        Self { text, object, promises: Vec::new() }
    }

    /// A line in bold.
    pub(crate) fn title(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.text, "{}", styled(BOLD, text))
    }

    /// A line that belongs to what stands above it.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.text, "   {text}")?;
        self.text.flush()
    }

    /// Opens the next section.
    pub(crate) fn promise(&mut self, text: &str) -> io::Result<()> {
        self.promises.push(Promise { promise: text.to_owned(), proofs: Vec::new() });
        writeln!(self.text)?;
        self.title(&format!("{}. {text}", self.promises.len()))
    }

    /// What shows that the last promise holds, or does not. An error is a proof that could not be had.
    pub(crate) fn shown<E: Display>(&mut self, proofs: Result<Vec<Proof>, E>) -> io::Result<()> {
        let proofs = proofs
            .unwrap_or_else(|error| vec![Proof::new(false, format!("this could not be shown: {error:#}"))]);
        for proof in &proofs {
            self.write(proof)?;
        }
        match self.promises.last_mut() {
            Some(promise) => promise.proofs.extend(proofs),
            None => self.promises.push(Promise { promise: String::new(), proofs }),
        }
        Ok(())
    }

    /// Says how it went; the last line counts the proofs. Did all of them hold?
    pub(crate) fn verdict(&mut self, held: &str, broken: &str) -> io::Result<bool> {
        let proofs = || self.promises.iter().flat_map(|promise| &promise.proofs);
        let passed = proofs().filter(|proof| proof.held).count();
        let failed = proofs().count() - passed;
        let all_held = failed == 0 && passed > 0;
        let (style, text) = if all_held { (GOOD, held) } else { (BAD, broken) };
        writeln!(self.text, "\n{}\n{passed} passed, {failed} failed", styled(style.bold(), text))?;
        if let Some(object) = &mut self.object {
            let summary = Summary { held: all_held, passed, failed, promises: &self.promises };
            writeln!(object, "{}", serde_json::to_string_pretty(&summary)?)?;
        }
        Ok(all_held)
    }

    fn write(&mut self, proof: &Proof) -> io::Result<()> {
        let mark = if proof.held { styled(GOOD, "✓") } else { styled(BAD, "✗") };
        writeln!(self.text, "   {mark} {}", proof.statement)?;
        for line in &proof.evidence {
            writeln!(self.text, "     {}", styled(DIM, line))?;
        }
        self.text.flush()
    }
}

#[cfg(test)]
mod tests {
    use anstream::StripStream;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_reads_as_promises_with_their_proofs_and_a_count() {
        let (all_held, text, object) = written(Format::Text);
        assert!(!all_held);
        assert_eq!(
            text,
            "\n1. It holds\n   ✓ seen twice\n     1, 2\n\n2. It does not\n   ✗ seen never\n\nbroken\n1 passed, 1 failed\n"
        );
        assert_eq!(object, "");
    }

    #[test]
    fn a_script_gets_one_object_and_the_text_beside_it() {
        let (_, object, text) = written(Format::Json);
        let proof = |held, statement, evidence: &[&str]| json!({"held": held, "statement": statement, "evidence": evidence});
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&object).unwrap(),
            json!({"held": false, "passed": 1, "failed": 1, "promises": [
                {"promise": "It holds", "proofs": [proof(true, "seen twice", &["1, 2"])]},
                {"promise": "It does not", "proofs": [proof(false, "seen never", &[])]},
            ]})
        );
        assert!(text.ends_with("1 passed, 1 failed\n"), "{text}");
    }

    #[test]
    fn a_proof_that_could_not_be_had_counts_as_one_that_failed() {
        let (mut output, mut notes) = (vec![], vec![]);
        let mut report = Report::new(Format::Text, &mut output, &mut notes);
        report.shown(Err("no answer")).unwrap();
        assert!(!report.verdict("fine", "broken").unwrap());
        assert!(String::from_utf8(output).unwrap().ends_with("0 passed, 1 failed\n"));
    }

    #[test]
    fn nothing_shown_is_nothing_proven() {
        let (mut output, mut notes) = (vec![], vec![]);
        assert!(!Report::new(Format::Text, &mut output, &mut notes).verdict("fine", "broken").unwrap());
    }

    /// A report of one promise that held and one that did not: what `verdict` says, the output and the notes.
    fn written(format: Format) -> (bool, String, String) {
        let (mut output, mut notes) = (StripStream::new(vec![]), StripStream::new(vec![]));
        let mut report = Report::new(format, &mut output, &mut notes);
        report.promise("It holds").unwrap();
        report.shown::<String>(Ok(vec![Proof::new(true, "seen twice").evidence("1, 2")])).unwrap();
        report.promise("It does not").unwrap();
        report.shown::<String>(Ok(vec![Proof::new(false, "seen never")])).unwrap();
        let all_held = report.verdict("fine", "broken").unwrap();
        let text = |stream: StripStream<Vec<u8>>| String::from_utf8(stream.into_inner()).unwrap();
        (all_held, text(output), text(notes))
    }
}
